"""What every way of producing is told, and how it answers."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from benchmarks.consuming.meter import Meter, peak_bytes


@dataclass(frozen=True)
class Work:
    """Send the first `messages` bars of a Parquet file to a topic that is there and empty."""

    bootstrap_servers: str
    topic: str
    messages: int
    file: Path

    @classmethod
    def from_arguments(cls) -> Self:
        parser = ArgumentParser()
        for name, kind in {"bootstrap-servers": str, "topic": str, "messages": int, "file": Path}.items():
            parser.add_argument(f"--{name}", type=kind, required=True)
        return cls(**vars(parser.parse_args()))

    def as_arguments(self) -> list[str]:
        return [f"--{name.replace('_', '-')}={value}" for name, value in asdict(self).items()]


def run(produce: Callable[[Work], int]) -> None:
    """Measure `produce`, which returns how many messages were delivered; reading the file is a part of it."""
    work, meter = Work.from_arguments(), Meter()
    meter.start()
    delivered = produce(work)
    meter.stop()
    if delivered != work.messages:
        raise RuntimeError(f"{delivered} of {work.messages} messages were delivered")
    meter.answer(work.messages, **{"peak MB": peak_bytes() / 1e6})
