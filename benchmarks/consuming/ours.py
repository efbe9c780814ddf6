"""Ours: the ingestor's own program, from its assignment until every message is in a slot."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import psutil

from benchmarks.consuming.task import Task
from benchmarks.measuring.meter import Meter, peak_bytes
from ingestion.group import PREFETCHED_KBYTES
from ingestion.ingestor import main
from ingestion.landing import THREADS
from tickhouse.settings import Settings, load_settings

MEBIBYTE = 1024 * 1024
ROW_BYTES = 512
"""Of columns, codes and the file that is being written, for each message of a batch that is being landed."""

ANSWER_BYTES = 50 * MEBIBYTE
"""Of one answer of the broker: librdkafka's `fetch.max.bytes`."""


class Observer(logging.Handler):
    """Follows the ingestor by its log: the meter runs from the assignment to the last slot, then the ingestor is ended."""

    def __init__(self, messages: int, meter: Meter) -> None:
        super().__init__()
        self._missing = messages
        self._meter = meter
        self.bytes_at_start = 0

    def emit(self, record: logging.LogRecord) -> None:
        told: Any = record.msg
        if not isinstance(told, dict):
            return
        if told["event"] == "partitions assigned":
            self.bytes_at_start = psutil.Process().memory_info().rss
            self._meter.start()
        elif told["event"] == "slot landed":
            self._missing -= told["rows"] + told["dead_letters"]
            if self._missing == 0:
                self._meter.stop()
                os.kill(os.getpid(), signal.SIGTERM)


def memory_bound(settings: Settings, bytes_at_start: int) -> int:
    """The most memory an ingestor may take, whatever the backlog, as `run_ingestor` states it; in bytes.

    Beside what it says: a batch's stretch of bytes is there twice for the moment in which it grows.
    """
    chosen = settings.ingestor
    landing = THREADS * chosen.flush_rows * ROW_BYTES
    client = PREFETCHED_KBYTES * 1024 + ANSWER_BYTES
    return bytes_at_start + chosen.buffer_bytes + chosen.flush_bytes + landing + client


if __name__ == "__main__":
    task, meter = Task.from_arguments(), Meter()
    observer = Observer(task.messages, meter)
    logging.getLogger("ingestion").addHandler(observer)
    if (code := main()) != 0:
        raise SystemExit(code)
    bytes_taken = {
        "MiB at start": observer.bytes_at_start,
        "MiB at most": peak_bytes(),
        "MiB bound": memory_bound(load_settings(), observer.bytes_at_start),
    }
    meter.answer(task.messages, {name: count / MEBIBYTE for name, count in bytes_taken.items()})
