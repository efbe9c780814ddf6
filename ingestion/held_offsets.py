"""The offsets at which a topic still holds messages, as a reader of what is committed sees them."""

from __future__ import annotations

import time
from typing import Self

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from numpy.typing import NDArray

from ingestion.topic import BrokerUnreachableError, TopicIdentity
from tickhouse.settings import Settings

_AT_ONCE = 10_000
_SECONDS = 30.0


class HeldOffsets:
    """Reads a topic's partitions, one after the other, from their beginnings; no group is joined, and nothing is committed.

    Every message is fetched, values and all: it costs what reading the topic costs. Memory: some 10,000 messages.
    """

    def __init__(self, settings: Settings, topic: TopicIdentity) -> None:
        self.topic = topic
        self._servers = settings.kafka.bootstrap_servers
        self._consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": settings.kafka.group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._seen = np.empty(0, np.int64)
        self._read_to = 0
        self._is_at_end = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()

    def first(self, partition: int) -> int:
        """The first offset that Kafka still has, asked now. Raises BrokerUnreachableError."""
        try:
            low, _high = self._consumer.get_watermark_offsets(TopicPartition(self.topic.name, partition), timeout=_SECONDS)
        except KafkaException as error:
            raise self._unreachable(error.args[0].str()) from None
        return int(low)

    def begin(self, partition: int, position: int) -> int:
        """Go to `position`, or where Kafka begins if that is later; say where. Raises BrokerUnreachableError."""
        start = max(position, self.first(partition))
        self._consumer.assign([TopicPartition(self.topic.name, partition, start)])
        self._seen, self._read_to, self._is_at_end = np.empty(0, np.int64), start, False
        return start

    def below(self, end: int) -> NDArray[np.int64]:
        """The offsets below `end` that hold a message, in order, from where the last call ended.

        Where the partition ends before, that is all there is. Raises BrokerUnreachableError.
        """
        deadline = time.monotonic() + _SECONDS
        while self._read_to < end:
            events = self._consumer.consume(_AT_ONCE, timeout=0.5)
            self._take(events)
            if events:
                deadline = time.monotonic() + _SECONDS
            elif self._is_at_end:
                break
            elif time.monotonic() > deadline:
                raise self._unreachable(f"nothing came for {_SECONDS:.0f} s")
        cut = int(np.searchsorted(self._seen, end))
        below, self._seen = self._seen[:cut], self._seen[cut:]
        return below

    def _take(self, events: list[Message]) -> None:
        """Keep the offsets of messages; that the partition ends is told as an error, with the offset behind its last record."""
        for event in events:
            error, offset = event.error(), event.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise self._unreachable(error.str())
            assert offset is not None  # both kinds have one
            self._is_at_end = error is not None
            self._read_to = offset if self._is_at_end else offset + 1
        new = [event.offset() for event in events if event.error() is None]
        self._seen = np.concatenate([self._seen, np.array(new, np.int64)])

    def _unreachable(self, reason: str) -> BrokerUnreachableError:
        return BrokerUnreachableError(f"cannot read topic {self.topic.name} at {self._servers}: {reason}")
