"""The newest 100 bars of one symbol with their indicators, out of 12.5 million: our ways, DuckDB's and pyarrow's."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.folder import open_folder
from benchmarks.measuring.process import CaseError
from benchmarks.measuring.report import Figures, measure
from benchmarks.serving.history import DAYS, publish_history, symbol_name
from benchmarks.serving.ways import LIMIT, Read, connection_a_request, dataset, in_sql, mapped
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.marts import FCT_INDICATOR
from transform.snapshot.read import SnapshotReader

NAME = "read"
FIRST = "ours, a file's first time"
MAPPED = "ours, memory-mapped"
PICKED = "our SQL, files picked"
ALL = "our SQL, all files"
NAIVE = "DuckDB, a connection a request"
DATASET = "pyarrow dataset"
CASES = (FIRST, MAPPED, PICKED, ALL, NAIVE, DATASET)
MILLISECONDS = "ms"
REQUESTS = {FIRST: 30, MAPPED: 2_000, PICKED: 300, ALL: 100, NAIVE: 20, DATASET: 20}

say = partial(print, flush=True)


def main() -> int:
    amount = Amount(5_000, "symbols", f"{DAYS:,} daily bars each; one request after the other, each for another symbol")
    return run_benchmark(NAME, __doc__, amount, CASES, open_folder, run)


def run(folder: Path, names: Sequence[str], symbols: int, runs: int) -> tuple[Figures, dict[str, float]]:
    """The median request of each way, and ratios over ours. Raises CaseError for a way with another answer."""
    settings = Settings(data_dir=folder, _env_file=None)
    storage = open_storage(settings)
    say(f"Publishing {symbols * DAYS:,} bars")
    manifest = publish_history(storage, symbols)
    reader = SnapshotReader(storage, settings.cache_path)
    ways: dict[str, Read] = {
        FIRST: mapped(SnapshotReader(storage)),
        MAPPED: mapped(reader),
        PICKED: in_sql(reader, picked=True),
        ALL: in_sql(reader, picked=False),
        NAIVE: connection_a_request(storage, manifest),
        DATASET: dataset(storage, manifest),
    }
    files = manifest.marts[FCT_INDICATOR].files
    say(f"Checking every way, and copying {len(files)} files")
    for file in files:
        ways[MAPPED](str(file.first_symbol))
    check({name: ways[name] for name in (MAPPED, *names)}, symbols)

    def first() -> dict[str, float]:
        ways[FIRST] = mapped(SnapshotReader(storage))  # with a folder of its own, in which there is nothing yet
        return request(ways[FIRST], symbols, REQUESTS[FIRST])

    cases = {name: first if name == FIRST else partial(request, ways[name], symbols, REQUESTS[name]) for name in names}
    return (figures := measure(cases, runs, say)), make_ratios(figures)


def check(ways: dict[str, Read], symbols: int) -> None:
    """Raises CaseError for a way that does not give what the first one does."""
    expected, *others = ways
    for number in (0, symbols // 2, symbols - 1):
        closes = ways[expected](symbol_name(number))["close"].to_pylist()
        for name in others:
            if len(closes) != LIMIT or ways[name](symbol_name(number))["close"].to_pylist() != closes:
                raise CaseError(f"{name}: not the bars that {expected} gives")


def request(read: Read, symbols: int, count: int) -> dict[str, float]:
    """The median of requests for symbols at random, always the same ones, in milliseconds."""
    chosen, taken = random.Random(1), []
    for _ in range(count):
        symbol = symbol_name(chosen.randrange(symbols))
        begun = time.perf_counter()
        read(symbol)
        taken.append(time.perf_counter() - begun)
    return {MILLISECONDS: 1000 * statistics.median(taken), "slowest ms": 1000 * max(taken)}


def make_ratios(figures: Figures) -> dict[str, float]:
    """Others' milliseconds over ours."""
    ratios = {
        "series_ms": figures.median(MILLISECONDS, MAPPED),
        "picked_sql_over_mapped": figures.ratio(MILLISECONDS, PICKED, MAPPED),
        "all_files_sql_over_mapped": figures.ratio(MILLISECONDS, ALL, MAPPED),
        "duckdb_over_mapped": figures.ratio(MILLISECONDS, NAIVE, MAPPED),
        "pyarrow_over_mapped": figures.ratio(MILLISECONDS, DATASET, MAPPED),
    }
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
