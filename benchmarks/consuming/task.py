"""What every way of consuming is told; the standard library alone, for environments that have no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.meter import Arguments


@dataclass(frozen=True)
class Task(Arguments):
    """Bring the first `messages` messages of a topic, all there are, into Parquet files below `folder`.

    The meter runs from the assignment of the partitions to the last file.
    """

    bootstrap_servers: str
    topic: str
    partitions: int
    messages: int
    folder: Path
