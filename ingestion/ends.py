"""Where a topic begins and ends now, for whoever wants to know how far behind the lake is, or what is lost."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ingestion.group import hint_in
from ingestion.topic import BrokerUnreachableError, TopicIdentity
from tickhouse.settings import Settings

_SECONDS = 5.0


def topic_ends(settings: Settings, topic: TopicIdentity) -> dict[int, int]:
    """Partition → the offset after its last message; raises as `topic_ranges` does."""
    return {partition: end for partition, (_low, end) in topic_ranges(settings, topic).items()}


def topic_ranges(settings: Settings, topic: TopicIdentity) -> dict[int, tuple[int, int]]:
    """Partition → the first offset that Kafka still has, and the offset after its last message; no group is joined.

    Raises BrokerUnreachableError when a broker does not answer.
    """
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group, "log_level": 0})
    try:
        partitions = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        return {each.partition: consumer.get_watermark_offsets(each, timeout=_SECONDS) for each in partitions}
    except KafkaException as error:
        raise BrokerUnreachableError(
            f"cannot ask {settings.kafka.bootstrap_servers} where topic {topic.name} begins and ends: {error.args[0].str()}"
        ) from None
    finally:
        consumer.close()


def committed_slots(settings: Settings, topic: TopicIdentity) -> dict[int, int]:
    """Partition → the position of the last slot that the group was told of, a hint; without those nobody told of.

    Raises BrokerUnreachableError when the group's coordinator does not answer.
    """
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group, "log_level": 0})
    try:
        partitions = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        hints = {each.partition: hint_in(each, topic.topic_id) for each in consumer.committed(partitions, timeout=_SECONDS)}
    except KafkaException as error:
        raise BrokerUnreachableError(
            f"cannot ask {settings.kafka.bootstrap_servers} what group {settings.kafka.group} was told: {error.args[0].str()}"
        ) from None
    finally:
        consumer.close()
    return {partition: hint for partition, hint in hints.items() if hint is not None}


def cached_end(consumer: Consumer, topic: str, partition: int) -> int | None:
    """The offset after the partition's last message as `consumer` last heard of it; never waits. None before it did."""
    try:
        marks = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
    except (KafkaException, RuntimeError):  # the consumer is closed
        return None
    return None if marks is None or marks[1] < 0 else marks[1]
