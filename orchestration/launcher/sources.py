"""The files that a warm process has made its own: when one is another, what it knows is no longer what a fresh process would."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dbt_project
import ingestion
import orchestration
import tickhouse
import transform

_SUFFIXES = (".py", ".sql", ".yml", ".csv")
_PACKAGES = (tickhouse, ingestion, transform, orchestration, dbt_project)

Stamps = Mapping[Path, tuple[int, int]]
"""By file: when it was written last (ns), and its bytes."""


def stamps() -> Stamps:
    """Every source as it is now. Settings are not among them: the environment hands them to a process once and for all."""
    return dict(_stamps())


def _stamps() -> Iterator[tuple[Path, tuple[int, int]]]:
    for package in _PACKAGES:
        for path in Path(package.__path__[0]).rglob("*"):
            if path.suffix in _SUFFIXES and "target" not in path.parts:
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # it is being replaced: the next look sees what takes its place
                yield path, (stat.st_mtime_ns, stat.st_size)
