"""How far the replay of a feed has come, kept by Kafka beside the messages."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ingestion.sources.feed import Feed
from ingestion.topic import TopicIdentity
from tickhouse.settings import Settings

_PARTITION = 0  # the one that every topic has
_IDENTITY_CHARACTERS = 32


class Bookmark:
    """The place a feed's replay has reached in one topic: the committed offset of a consumer group that nobody joins."""

    def __init__(self, settings: Settings, feed: Feed, topic: TopicIdentity) -> None:
        self.name = f"{settings.kafka.group}-replay-{topic.name}-{feed.identity()[:_IDENTITY_CHARACTERS]}"
        self._topic = topic
        self._group = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": self.name,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",  # a place is read when no transaction is about to move it
                "log_level": 0,
            },
        )

    def read(self, seconds: float) -> int:
        """How many bars were delivered; 0 when none, or to another incarnation of the topic. Raises KafkaException."""
        (place,) = self._group.committed([TopicPartition(self._topic.name, _PARTITION)], timeout=seconds)
        if place.error is not None:
            raise KafkaException(place.error)
        if place.offset < 0 or json.loads(place.metadata or "{}").get("topic_id") != self._topic.topic_id:
            return 0
        return int(place.offset)

    def at(self, position: int) -> tuple[list[TopicPartition], Any]:
        """What a transaction is told to have the place moved to `position`."""
        metadata = json.dumps({"topic_id": self._topic.topic_id})
        return [TopicPartition(self._topic.name, _PARTITION, position, metadata)], self._group.consumer_group_metadata()

    def close(self) -> None:
        """End the connection."""
        self._group.close()
