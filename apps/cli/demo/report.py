"""What a demo shows: how far each stage is while it runs, a short table when all is published."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from apps.cli.demo.chaos import times
from apps.cli.demo.stages import Account, Stages
from apps.cli.readiness import url
from tickhouse.settings import Settings

_LINE_SECONDS = 2.0


class StageDisplay:
    """A bar a stage on a terminal; elsewhere a line whenever something moved, at most every two seconds."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._begun = time.monotonic()
        self._last: tuple[float, Stages | None] = (-math.inf, None)
        columns = (TextColumn("{task.description:>10}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._tasks = {name: self._progress.add_task(name, total=self._total) for name in Stages().as_dict()}
            self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._tasks:
            self._progress.stop()

    def show(self, stages: Stages) -> None:
        """Show these rows at each stage."""
        for name, rows in stages.as_dict().items():
            if name in self._tasks:
                self._progress.update(self._tasks[name], completed=rows)
        if not self._tasks:
            self._print_line(stages)

    def _print_line(self, stages: Stages) -> None:
        now = time.monotonic()
        shown_at, shown = self._last
        if stages == shown or (now - shown_at < _LINE_SECONDS and stages.published < self._total):
            return
        self._last = (now, stages)
        counts = "  ".join(f"{name} {rows:,}" for name, rows in stages.as_dict().items())
        self._console.print(f"{now - self._begun:6.1f} s  {counts}", highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class DemoResult:
    """What came out. `waits` are seconds from produced to published, one a bar, of the live part where there was one;
    `kills` says how often who was killed on purpose.
    """

    stages: Stages
    account: Account
    first_snapshot_seconds: float
    waits: Sequence[float]
    resident_bytes: int
    kills: Mapping[str, int] = field(default_factory=dict)


def result_table(result: DemoResult) -> Table:
    """The short table at the end."""
    table = Table(title="What came through", show_header=False)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, rows in result.stages.as_dict().items():
        table.add_row(f"rows {name}", f"{rows:,}")
    account = result.account
    table.add_section()
    table.add_row("of these current", f"{account.published:,}")
    table.add_row("superseded by a correction", f"{account.superseded:,}")
    table.add_row("in quarantine", f"{account.quarantined:,}")
    table.add_row("alerts found", f"{account.alerts:,}")
    if result.kills:
        table.add_section()
        for victim, count in result.kills.items():
            table.add_row(f"{victim} killed", times(count))
    table.add_section()
    table.add_row("snapshots published", f"{account.snapshots:,}")
    table.add_row("from start to the first snapshot", f"{result.first_snapshot_seconds:.1f} s")
    if result.waits:
        table.add_row("from produced to published, median", f"{quantile(result.waits, 0.5):.1f} s")
        table.add_row("from produced to published, 95 %", f"{quantile(result.waits, 0.95):.1f} s")
    table.add_row("resident memory of everything", f"{result.resident_bytes / 2**30:.1f} GiB")
    return table


def addresses_table(settings: Settings) -> Table:
    """Where to look."""
    table = Table(title="Where to look", show_header=False)
    pages, api, dagster, docs = settings.pages, settings.api, settings.dagster, settings.docs
    table.add_row("charts, indicators, alerts", url(pages.host, pages.port))
    table.add_row("the API, to try out", f"{url(api.host, api.port)}/docs")
    table.add_row("how it is built, run by run", url(dagster.host, dagster.port))
    table.add_row("models and their lineage", url(docs.host, docs.port))
    table.add_row("what validation found", docs.validation_url)
    if settings.metrics.port is not None:
        table.add_row("the ingestor's metrics", f"{url(settings.metrics.host, settings.metrics.port)}/metrics")
    table.add_row("logs", str(settings.log_path))
    return table


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `values` do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
