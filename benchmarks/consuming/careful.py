"""The careful way by hand: 10,000 messages at once, orjson, pyarrow, and a zstd Parquet file every 100,000 rows, fsynced."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.consuming.task import Task
from benchmarks.measuring.meter import Meter
from tickhouse.bar import BAR_SCHEMA

CONSUMED_AT_ONCE = 10_000
FILE_ROWS = 100_000


def consume(task: Task, meter: Meter) -> None:
    group = f"careful-{uuid.uuid4().hex}"
    consumer = Consumer({"bootstrap.servers": task.bootstrap_servers, "group.id": group, "enable.auto.commit": False})
    consumer.list_topics(task.topic, timeout=30)
    meter.start()
    consumer.assign([TopicPartition(task.topic, partition, OFFSET_BEGINNING) for partition in range(task.partitions)])
    rows: list[dict[str, object]] = []
    missing = task.messages
    while missing:
        messages = consumer.consume(min(missing, CONSUMED_AT_ONCE, FILE_ROWS - len(rows)), 30)
        if not messages:
            raise TimeoutError(f"{missing} messages did not come")
        missing -= len(messages)
        rows += [orjson.loads(message.value() or b"") for message in messages]
        if len(rows) == FILE_ROWS or not missing:
            write(rows, task.folder / f"{missing}.parquet")
            consumer.commit(asynchronous=False)
            rows = []
    meter.stop()
    consumer.close()


def write(rows: list[dict[str, object]], path: Path) -> None:
    columns = []
    for field in BAR_SCHEMA:
        values = [row[field.name] for row in rows]
        if pa.types.is_timestamp(field.type):
            columns.append(pa.array(values, pa.string()).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    with path.open("xb") as file:
        pq.write_table(pa.Table.from_arrays(columns, schema=BAR_SCHEMA), file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    task, meter = Task.from_arguments(), Meter()
    consume(task, meter)
    meter.answer(task.messages)
