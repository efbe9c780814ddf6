"""Thousands of runs, one after the other: whether latency, Dagster's records and memory stay what they were."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from apps.cli.start import with_changes
from apps.cli.supervisor import Supervisor
from benchmarks.freshness import YOUNG
from benchmarks.measuring.folder import open_folder
from benchmarks.measuring.report import Figure, Figures, write_results
from benchmarks.refreshing.stack import running, stack_settings
from benchmarks.refreshing.timing import landed_to_published, published_end, published_number
from ingestion.producer import replay
from tickhouse.settings import ProducerSettings, Settings

NAME = "soak"
BUILDS = 2_000
WINDOWS = 10
LOOK_SECONDS = 1.0
RUNS_KEPT = 200
MIB = 1024 * 1024


@dataclass(frozen=True)
class Window:
    """What one tenth of the runs came to: seconds from landed to published, MiB of records, MiB of memory."""

    runs: int
    p50: float
    p95: float
    records: float
    memory: float


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"make bench-{NAME}", description=__doc__)
    parser.add_argument("--builds", type=int, default=BUILDS, help="published snapshots to wait for (default: %(default)s)")
    options = parser.parse_args()
    with open_folder() as folder, tempfile.TemporaryDirectory(dir=folder) as own:
        windows = soak(Path(own), options.builds)
    show(windows)
    if options.builds != BUILDS:
        return 0
    figures = [
        Figure(unit, unit, tuple(getattr(window, name) for window in windows))
        for name, unit in (("p50", "p50 s"), ("p95", "p95 s"), ("records", "records MiB"), ("memory", "memory MiB"))
    ]
    first, last = windows[1], windows[-1]  # the first tenth is warming up
    ratios = {
        f"{name}_last_over_second": getattr(last, name) / getattr(first, name) for name in ("p50", "p95", "records", "memory")
    }
    print(f"written: {write_results(NAME, Figures(figures), {'builds': options.builds, **ratios})}")
    return 0


def soak(folder: Path, builds: int) -> list[Window]:
    """One bar a second until so many snapshots were published, in tenths."""
    settings = with_changes(
        stack_settings(folder, "warm"), "dagster", run_retention_cron="* * * * *", run_retention_runs=RUNS_KEPT
    )
    windows, begun = [], 0
    with running(settings) as supervisor, producing(settings) as stopped:
        for tenth in range(1, WINDOWS + 1):
            from_offset = published_end(settings)
            while published_number(settings) < builds * tenth // WINDOWS:
                supervisor.check()
                if stopped.wait(LOOK_SECONDS):
                    raise RuntimeError("the bars came to an end before the builds did")
            seconds = landed_to_published(settings, from_offset)
            p50, p95 = np.percentile(seconds, [50, 95])
            number = published_number(settings)
            windows.append(Window(number - begun, p50, p95, records_mib(settings), memory_mib(supervisor)))
            begun = number
            print(f"  {number:,} of {builds:,} builds: p50 {p50:.2f} s, p95 {p95:.2f} s", flush=True)
    return windows


@contextmanager
def producing(settings: Settings) -> Iterator[threading.Event]:
    """One bar a second within the block; the event tells that they came to an end."""
    stop, ended = threading.Event(), threading.Event()
    paced = settings.model_copy(update={"producer": ProducerSettings(rate=1.0)})
    feed = replace(YOUNG, bars=10_000)

    def send() -> None:
        try:
            replay(paced, feed, stop=stop)
        finally:
            ended.set()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()


def records_mib(settings: Settings) -> float:
    """What Dagster's home takes on disk."""
    return sum(path.stat().st_size for path in settings.dagster_home.rglob("*") if path.is_file()) / MIB


def memory_mib(supervisor: Supervisor) -> float:
    """Memory that is theirs alone, of Dagster's long-running processes."""
    names = [name for name in supervisor.names if name.startswith("dagster")]
    return sum(psutil.Process(supervisor.pid(name)).memory_full_info().uss for name in names) / MIB


def show(windows: list[Window]) -> None:
    """A row a tenth."""
    table = Table("builds", "landed → published p50 s", "p95 s", "Dagster's records MiB", "Dagster's processes MiB")
    for each in windows:
        table.add_row(f"{each.runs:,}", f"{each.p50:.2f}", f"{each.p95:.2f}", f"{each.records:.1f}", f"{each.memory:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
