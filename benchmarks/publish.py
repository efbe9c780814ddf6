"""From a warehouse to published files: everything, a day more, a correction; beside DuckDB's COPY."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.folder import open_folder
from benchmarks.measuring.process import CaseError, run_process
from benchmarks.measuring.report import Figures, measure
from benchmarks.publishing.changes import DAYS, Warehouse, make_warehouse
from benchmarks.publishing.work import PYTHON, Export
from tickhouse.settings import as_environment, process_environment
from transform.marts import MARTS
from transform.snapshot.manifest import latest_manifest

NAME = "publish"
FULL = "full export: ours"
COPY = "full export: COPY, in order"
PARTITIONED = "full export: COPY, by year"
NEWEST = "one bar each: ours"
IN_A_ROW = "one bar each, 30 in a row: ours"
CORRECTED = "correction: ours"
CASES = (FULL, COPY, PARTITIONED, NEWEST, CORRECTED, IN_A_ROW)
SECONDS, ROW = "seconds", 30

say = partial(print, flush=True)


def main() -> int:
    amount = Amount(5_000, "symbols", f"{DAYS:,} daily bars each, with indicators and alerts; a correction is of one symbol")
    return run_benchmark(NAME, __doc__, amount, CASES, open_folder, run)


def run(folder: Path, names: Sequence[str], symbols: int, runs: int) -> tuple[Figures, dict[str, float]]:
    """All figures, and the ratios of what was run. Raises CaseError when what was published bit by bit is not the whole."""
    say(f"Making a warehouse of {symbols * DAYS:,} bars")
    warehouse = make_warehouse(folder / "data", symbols)
    publish(warehouse)
    ways = {
        FULL: partial(publish_all, warehouse),
        COPY: partial(export, warehouse, folder / "copy", is_partitioned=False),
        PARTITIONED: partial(export, warehouse, folder / "copy", is_partitioned=True),
        NEWEST: partial(publish_day, warehouse),
        CORRECTED: partial(publish_correction, warehouse),
        IN_A_ROW: partial(publish_days, warehouse),
    }
    figures = measure({name: ways[name] for name in names}, runs, say)
    publish_all(warehouse)
    return figures, make_ratios(figures)


def publish(warehouse: Warehouse) -> dict[str, float]:
    """One publication, in a process of its own."""
    environment = {**process_environment(), **as_environment(warehouse.settings)}
    return run_process([PYTHON, "-m", "benchmarks.publishing.ours"], environment)


def publish_all(warehouse: Warehouse) -> dict[str, float]:
    """Everything anew. Raises CaseError when contents are not those of the snapshot before."""
    before = contents(warehouse)
    shutil.rmtree(warehouse.settings.lake_path / "published")
    figures = publish(warehouse)
    if contents(warehouse) != before:
        raise CaseError("what was published bit by bit does not hold what a full export does")
    return figures


def publish_day(warehouse: Warehouse) -> dict[str, float]:
    warehouse.add_day()
    return publish(warehouse)


def publish_days(warehouse: Warehouse) -> dict[str, float]:
    """So many publications that tails are cut and eras merged meanwhile."""
    seconds = sorted(publish_day(warehouse)[SECONDS] for _ in range(ROW))
    return {SECONDS: statistics.median(seconds), "seconds, p95": seconds[int(0.95 * ROW)], "seconds at most": seconds[-1]}


def publish_correction(warehouse: Warehouse) -> dict[str, float]:
    warehouse.correct()
    return publish(warehouse)


def export(warehouse: Warehouse, folder: Path, *, is_partitioned: bool) -> dict[str, float]:
    """What a user would do instead for each change, big or small."""
    shutil.rmtree(folder, ignore_errors=True)
    work = Export(warehouse.settings.warehouse_path, folder, int(is_partitioned))
    return run_process([PYTHON, "-m", "benchmarks.publishing.by_copy", *work.as_arguments()], process_environment())


def contents(warehouse: Warehouse) -> dict[str, str | None]:
    """What the marts hold; the ledger of alerts is left out, for it holds how they came to it."""
    manifest = latest_manifest(warehouse.storage)
    return {} if manifest is None else {name: mart.content for name, mart in manifest.marts.items() if name in MARTS}


def make_ratios(figures: Figures) -> dict[str, float]:
    """COPY's seconds are over ours."""
    ratios = {
        "full_export_seconds": figures.median(SECONDS, FULL),
        "one_bar_each_seconds": figures.median(SECONDS, NEWEST),
        "correction_seconds": figures.median(SECONDS, CORRECTED),
        "full_export_copy_over_ours": figures.ratio(SECONDS, COPY, FULL),
        "one_bar_each_copy_over_ours": figures.ratio(SECONDS, COPY, NEWEST),
        "correction_copy_over_ours": figures.ratio(SECONDS, COPY, CORRECTED),
        "one_bar_each_partitioned_over_ours": figures.ratio(SECONDS, PARTITIONED, NEWEST),
    }
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
