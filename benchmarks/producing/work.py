"""What every way of producing is told, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.meter import Arguments, Meter, peak_bytes


@dataclass(frozen=True)
class Work(Arguments):
    """Send the first `messages` bars of a Parquet file to a topic that is there and empty."""

    bootstrap_servers: str
    topic: str
    messages: int
    file: Path


def run(produce: Callable[[Work], int]) -> None:
    """Measure `produce`, which returns how many messages were delivered; reading the file is a part of it."""
    work, meter = Work.from_arguments(), Meter()
    meter.start()
    delivered = produce(work)
    meter.stop()
    if delivered != work.messages:
        raise RuntimeError(f"{delivered} of {work.messages} messages were delivered")
    meter.answer(work.messages, {"peak MB": peak_bytes() / 1e6})
