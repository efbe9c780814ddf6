"""Ours: the ingestor's own program, from its assignment until every message is in a slot."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import psutil

from benchmarks.consuming.meter import Meter, Task, peak_bytes
from ingestion.ingestor import main

MEBIBYTE = 1024 * 1024


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


if __name__ == "__main__":
    task, meter = Task.from_arguments(), Meter()
    observer = Observer(task.messages, meter)
    logging.getLogger("ingestion").addHandler(observer)
    if (code := main()) != 0:
        raise SystemExit(code)
    meter.answer(task.messages, **{"MiB at start": observer.bytes_at_start / MEBIBYTE, "MiB at most": peak_bytes() / MEBIBYTE})
