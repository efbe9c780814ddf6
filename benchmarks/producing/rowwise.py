"""The usual way: row by row, json.dumps and produce(), with a flush at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow.parquet as pq
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.producing.work import Work, run


def produce(work: Work, after_each: Callable[[Producer], object] = lambda producer: producer.poll(0)) -> int:
    delivered = 0

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        nonlocal delivered
        delivered += error is None

    producer = Producer({"bootstrap.servers": work.bootstrap_servers, "enable.idempotence": True, "linger.ms": 20})
    for row in pq.read_table(work.file).slice(0, work.messages).to_pylist():
        row["ts"] = row["ts"].isoformat()
        row["produced_at"] = datetime.now(UTC).isoformat()
        while True:
            try:
                producer.produce(work.topic, json.dumps(row), row["symbol"], on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
        after_each(producer)
    producer.flush()
    return delivered


if __name__ == "__main__":
    run(produce)
