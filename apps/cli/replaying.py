"""Replaying a feed with a progress bar."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from apps.cli.ending import stop_on_signals
from ingestion.producer import replay
from ingestion.sources import parse_mapping, read_bars, read_sample
from tickhouse.settings import Settings

SAMPLE = "sample"


class UndeliveredError(RuntimeError):
    """The broker did not take every message."""


def read_feed(feed: str, *, columns: str | None, symbol: str | None, interval: str | None, source: str | None) -> pa.Table:
    """The bars of a file, or of the sample. Raises as `ingestion.sources.read_bars` does."""
    if feed == SAMPLE:
        return read_sample()
    mapping = None if columns is None else parse_mapping(columns)
    return read_bars(Path(feed), mapping=mapping, symbol=symbol, interval=interval, source=source)


def replay_with_progress(settings: Settings, bars: pa.Table) -> None:
    """Replay until done or told to end, with a bar on a terminal, and a closing line.

    Raises UndeliveredError when Kafka refused messages.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    with (
        stop_on_signals() as stop,
        Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task(f"to topic {settings.kafka.topic}", total=None)
        report = replay(
            settings, bars, on_progress=lambda sent, total: progress.update(task, completed=sent, total=total), stop=stop
        )
    rate = report.delivered / report.seconds if report.seconds else 0
    Console().print(f"{report.delivered:,} bars delivered to {settings.kafka.topic} in {report.seconds:.1f} s ({rate:,.0f}/s)")
    if report.failed:
        raise UndeliveredError(f"{report.failed:,} of {report.produced:,} messages were not delivered: {report.first_error}")
