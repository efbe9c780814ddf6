"""How much smaller slots are than the JSON they came from."""

from __future__ import annotations

import uuid

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from ingestion.chain.walk import find_chains, walk
from tickhouse.settings import Settings
from tickhouse.storage import open_storage

_PATIENCE_SECONDS = 30.0
_CONSUMED_AT_ONCE = 10_000


def bytes_saved_pct(settings: Settings, messages: int, file_rows: int) -> float:
    """What landed slots of `file_rows` rows and more save of the bytes of their messages' values, in per cent.

    The topic holds `messages` messages at gapless offsets from 0 on. Raises ValueError when no slot is so large.
    """
    ends = {partition: np.cumsum(sizes) for partition, sizes in _value_sizes(settings, messages).items()}
    storage = open_storage(settings)
    in_json = in_parquet = 0
    for chain in find_chains(storage):
        for slot in walk(storage, chain):
            if slot.footer.rows >= file_rows:
                before = ends[chain.partition][slot.footer.position - 1] if slot.footer.position else 0
                in_json += int(ends[chain.partition][slot.footer.next_offset - 1] - before)
                in_parquet += storage.local_path(slot.key).stat().st_size
    if not in_json:
        raise ValueError(f"no slot has {file_rows} rows: give the benchmark more messages")
    return 100 * (1 - in_parquet / in_json)


def _value_sizes(settings: Settings, messages: int) -> dict[int, list[int]]:
    """The bytes of every message's value, by partition, in order."""
    kafka = settings.kafka
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    sizes: dict[int, list[int]] = {partition: [] for partition in range(kafka.partitions)}
    try:
        consumer.assign([TopicPartition(kafka.topic, partition, OFFSET_BEGINNING) for partition in sizes])
        while messages:
            found = consumer.consume(min(messages, _CONSUMED_AT_ONCE), _PATIENCE_SECONDS)
            if not found:
                raise TimeoutError(f"{messages} messages did not come")
            for message in found:
                sizes[message.partition() or 0].append(len(message))
            messages -= len(found)
    finally:
        consumer.close()
    return sizes
