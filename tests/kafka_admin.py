"""What tests do to a topic from outside."""

from __future__ import annotations

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from ingesting import wait_until

from tickhouse.settings import Settings


def admin(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})


def delete_records_before(settings: Settings, offset: int) -> None:
    client = admin(settings)
    for answer in client.delete_records([TopicPartition(settings.kafka.topic, 0, offset)]).values():
        answer.result(30)


def delete_topic(settings: Settings) -> None:
    client, name = admin(settings), settings.kafka.topic
    client.delete_topics([name])[name].result(30)
    wait_until(lambda: name not in client.list_topics(timeout=10).topics, "the topic is deleted")
