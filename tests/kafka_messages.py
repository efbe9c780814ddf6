"""Reading a topic back, as a test wants it: everything there is, once."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby

import orjson
import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from tickhouse.bar import BAR_SCHEMA
from tickhouse.settings import Settings


def consume_topic(settings: Settings) -> list[Message]:
    """Every message of `kafka.topic`, by (partition, offset); commits nothing. For topics without transactions.

    Fails when a message takes over 30 s to come.
    """
    kafka = settings.kafka
    client = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"{kafka.group}-test", "enable.auto.commit": False}
    consumer = Consumer({**client, "enable.partition.eof": False, "log_level": 0})
    try:
        partitions = consumer.list_topics(kafka.topic, timeout=30).topics[kafka.topic].partitions
        places = [TopicPartition(kafka.topic, partition, OFFSET_BEGINNING) for partition in partitions]
        missing = sum(end - start for start, end in (consumer.get_watermark_offsets(place, timeout=30) for place in places))
        consumer.assign(places)
        messages: list[Message] = []
        while missing > 0:
            batch = consumer.consume(min(missing, 10_000), timeout=0.1) or consumer.consume(1, timeout=30)
            assert batch, f"no message came within 30 s; {missing} are missing"
            assert [message.error() for message in batch if message.error()] == []
            messages += batch
            missing -= len(batch)
    finally:
        consumer.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def consume_committed(settings: Settings) -> list[Message]:
    """Every message of `kafka.topic` that a reader of what is committed sees, by (partition, offset), to each partition's end.

    Fails when nothing comes for 60 s, which an open transaction can be the reason of.
    """
    kafka = settings.kafka
    client = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"{kafka.group}-test", "enable.auto.commit": False}
    consumer = Consumer({**client, "isolation.level": "read_committed", "enable.partition.eof": True, "log_level": 0})
    try:
        partitions = set(consumer.list_topics(kafka.topic, timeout=30).topics[kafka.topic].partitions)
        consumer.assign([TopicPartition(kafka.topic, partition, OFFSET_BEGINNING) for partition in partitions])
        messages: list[Message] = []
        while partitions:
            batch = consumer.consume(10_000, timeout=0.1) or consumer.consume(1, timeout=60)
            assert batch, "nothing came within 60 s"
            ends = [message for message in batch if message.error()]
            assert {message.error().code() for message in ends} <= {KafkaError._PARTITION_EOF}
            partitions -= {message.partition() for message in ends}
            messages += [message for message in batch if not message.error()]
    finally:
        consumer.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def by_partition(messages: list[Message]) -> dict[int, list[Message]]:
    """The messages of `consume_topic`, by partition, in order."""
    return {partition: list(group) for partition, group in groupby(messages, key=lambda message: message.partition())}


def as_bars(messages: list[Message]) -> pa.Table:
    """The messages' values in `BAR_SCHEMA`, in their order."""
    rows = [orjson.loads(message.value() or b"") for message in messages]
    times = [{name: datetime.fromisoformat(row[name]) for name in ("ts", "produced_at")} for row in rows]
    return pa.Table.from_pylist([{**row, **more} for row, more in zip(rows, times, strict=True)], schema=BAR_SCHEMA)
