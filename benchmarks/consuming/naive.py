"""The naive way: poll, json, a list of dicts, pandas, and a Parquet file every 100 messages."""

from __future__ import annotations

import json
import uuid

import pandas as pd
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.consuming.task import Task
from benchmarks.measuring.meter import Meter

FILE_ROWS = 100


def consume(task: Task, meter: Meter) -> None:
    consumer = Consumer({"bootstrap.servers": task.bootstrap_servers, "group.id": f"naive-{uuid.uuid4().hex}"})
    consumer.list_topics(task.topic, timeout=30)
    meter.start()
    consumer.assign([TopicPartition(task.topic, partition, OFFSET_BEGINNING) for partition in range(task.partitions)])
    rows: list[dict[str, object]] = []
    for number in range(1, task.messages + 1):
        message = consumer.poll(30)
        if message is None or message.error():
            raise TimeoutError(f"message {number} did not come: {message and message.error()}")
        rows.append(json.loads(message.value() or b""))
        if len(rows) == FILE_ROWS or number == task.messages:
            frame = pd.DataFrame(rows)
            frame["ts"] = pd.to_datetime(frame["ts"])
            frame["produced_at"] = pd.to_datetime(frame["produced_at"])
            frame.to_parquet(task.folder / f"{number}.parquet")
            rows = []
    meter.stop()
    consumer.close()


if __name__ == "__main__":
    task, meter = Task.from_arguments(), Meter()
    consume(task, meter)
    meter.answer(task.messages)
