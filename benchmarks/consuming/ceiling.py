"""The ceiling: librdkafka's batch queue, every payload copied into a numpy array, nothing decoded and nothing written."""

from __future__ import annotations

import uuid

import numpy as np

from benchmarks.consuming.librdkafka import BatchConsumer
from benchmarks.consuming.task import Task
from benchmarks.measuring.meter import Meter

BATCH_MESSAGES = 10_000
ARENA_BYTES = 64 * 1024 * 1024
PATIENCE_MS = 30_000


def consume(task: Task, meter: Meter) -> None:
    consumer = BatchConsumer(
        {
            "bootstrap.servers": task.bootstrap_servers,
            "group.id": f"ceiling-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.metrics.push": False,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 256 * 1024,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "fetch.wait.max.ms": 50,
        },
        BATCH_MESSAGES,
    )
    arena = np.zeros(ARENA_BYTES, np.uint8)
    meter.start()
    consumer.assign(task.topic, task.partitions)
    at = missing = 0
    missing = task.messages
    while missing:
        if at > ARENA_BYTES // 2:
            at = 0
        taken, at = consumer.take(arena, at, missing, PATIENCE_MS)
        if not taken:
            raise TimeoutError(f"{missing} messages did not come")
        missing -= taken
    meter.stop()


if __name__ == "__main__":
    task, meter = Task.from_arguments(), Meter()
    consume(task, meter)
    meter.answer(task.messages)
