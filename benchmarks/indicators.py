"""From a table of bars to a table of indicators, all of them, a day more and a correction: ours, TA-Lib, polars and pandas."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.computing.agreement import disagreements
from benchmarks.computing.history import PEERS, SCRATCH, History, make_history
from benchmarks.computing.work import CORRECTED, FULL, NEWEST, Work
from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.environment import ensure_environment
from benchmarks.measuring.folder import open_folder
from benchmarks.measuring.process import ROOT, CaseError, run_process
from benchmarks.measuring.report import Figures, measure
from tickhouse.settings import as_environment, process_environment

NAME = "indicators"
DAYS, TENTH = 2_500, 250
CHECKED_SYMBOLS, CHECKED_DAYS = 20, 1_500
RATE, SECONDS, MEMORY = "rows/s", "seconds", "MiB at most"

say = partial(print, flush=True)


@dataclass(frozen=True)
class Way:
    """A step by a program of `benchmarks.computing`, on `days` of history.

    Averages that it seeds in its own manner are right from bar `settled_at` on, or, of a tail of bars, to `tolerance`.
    """

    step: str
    program: str
    days: int = DAYS
    environment: str | None = None
    settled_at: int = 0
    tolerance: float = 1e-9

    @property
    def is_peer(self) -> bool:
        return self.program not in ("ours", "by_dbt")

    @property
    def table(self) -> str:
        """Where its indicators go."""
        if self.program == "by_dbt":
            return "int_indicator"
        if self.step == FULL:
            return SCRATCH
        return PEERS if self.is_peer else "int_indicator"

    @property
    def python(self) -> Path:
        """The interpreter it runs on: ours, or of an environment of its own, which is made at first."""
        if self.environment is None:
            return Path(sys.executable)
        return ensure_environment(self.environment, ROOT / "benchmarks" / f"{self.environment}.lock")


WAYS = {
    "full refresh: ours": Way(FULL, "ours"),
    "full refresh: TA-Lib": Way(FULL, "by_talib"),
    "full refresh: polars": Way(FULL, "by_polars", environment="polars", settled_at=400),
    "full refresh: ours, by dbt": Way(FULL, "by_dbt"),
    "full refresh, a tenth: ours": Way(FULL, "ours", TENTH),
    "full refresh, a tenth: pandas": Way(FULL, "by_pandas", TENTH, settled_at=400),
    "one bar each: ours": Way(NEWEST, "ours"),
    "one bar each: TA-Lib": Way(NEWEST, "by_talib", tolerance=1e-7),
    "one bar each: polars": Way(NEWEST, "by_polars", environment="polars", tolerance=1e-7),
    "one bar each: pandas": Way(NEWEST, "by_pandas", tolerance=1e-7),
    "one bar each: ours, by dbt": Way(NEWEST, "by_dbt"),
    "one bar each, a tenth: ours": Way(NEWEST, "ours", TENTH),
    "correction: ours": Way(CORRECTED, "ours"),
    "correction: TA-Lib": Way(CORRECTED, "by_talib"),
    "correction: polars": Way(CORRECTED, "by_polars", environment="polars"),
    "correction: pandas": Way(CORRECTED, "by_pandas"),
    "correction: ours, by dbt": Way(CORRECTED, "by_dbt"),
}
"""In an order in which ours makes the changes that its peers then find."""


def main() -> int:
    amount = Amount(5_000, "symbols", f"{DAYS:,} daily bars each (a tenth: {TENTH}), from and to a table in a DuckDB file")
    return run_benchmark(NAME, __doc__, amount, WAYS, open_folder, run)


def run(folder: Path, names: Sequence[str], symbols: int, runs: int) -> tuple[Figures, dict[str, float]]:
    """All figures, and the ratios of what was run."""
    ways = {name: WAYS[name] for name in names}
    say("Checking every way against TA-Lib")
    check(prepare(folder / "checked", CHECKED_SYMBOLS, CHECKED_DAYS, len(ways)), ways)
    histories = {}
    for days in sorted({way.days for way in ways.values()}):
        say(f"Writing {symbols * days:,} bars and their indicators")
        histories[days] = prepare(folder / str(days), symbols, days, runs * len(ways))
    figures = measure({name: partial(compute, histories[way.days], way) for name, way in ways.items()}, runs, say)
    return figures, make_ratios(figures)


def prepare(folder: Path, symbols: int, days: int, coming_days: int) -> History:
    """A history with its indicators stored, for us and for the others."""
    history = make_history(folder, symbols, days)
    history.write_bars(coming_days)
    run_program(history, Way(FULL, "ours"), "int_indicator", change_seq=1)
    history.write_peers()
    return history


def check(history: History, ways: Mapping[str, Way]) -> dict[str, dict[str, float]]:
    """Run each way once, on any history: what compiles is compiled then.

    Raises CaseError for one that fails, or whose numbers are wrong.
    """
    figures = {}
    for name, way in ways.items():
        figures[name] = compute(history, way)
        wrong = disagreements(history, way.table, way.settled_at, way.tolerance)
        if wrong:
            raise CaseError(f"{name}: not as TA-Lib has it: {', '.join(wrong)}")
    return figures


def compute(history: History, way: Way) -> dict[str, float]:
    """One run of a way, in a process of its own. Raises CaseError when it does not give every row."""
    history.forget_computed()
    change_seq = _change(history, way)
    figures = run_program(history, way, way.table, change_seq)
    rows, expected = figures.pop("rows"), history.count_changed(way.step)
    if rows != expected:
        raise CaseError(f"{way.program} gave {rows:,} rows of {expected:,} for the step {way.step}")
    return figures


def _change(history: History, way: Way) -> int:
    """The build that the step is about. Peers take again what came for us."""
    if way.step == FULL:
        return history.newest_build()
    if way.is_peer and way.step in history.builds:
        return history.builds[way.step]
    return history.change(way.step)


def run_program(history: History, way: Way, table: str, change_seq: int) -> dict[str, float]:
    work = Work(history.database, table, way.step, change_seq)
    command = [str(way.python), "-m", f"benchmarks.computing.{way.program}", *work.as_arguments()]
    return run_process(command, {**process_environment(), **as_environment(history.settings)})


def make_ratios(figures: Figures) -> dict[str, float]:
    """Peers' seconds are over ours of the same rows."""
    ratios = {
        "full_refresh_rows_per_second": figures.median(RATE, "full refresh: ours"),
        "talib_seconds_over_ours": figures.ratio(SECONDS, "full refresh: TA-Lib", "full refresh: ours"),
        "polars_seconds_over_ours": figures.ratio(SECONDS, "full refresh: polars", "full refresh: ours"),
        "pandas_seconds_over_ours": figures.ratio(SECONDS, "full refresh, a tenth: pandas", "full refresh, a tenth: ours"),
        "one_bar_each_seconds": figures.median(SECONDS, "one bar each: ours"),
        "correction_seconds": figures.median(SECONDS, "correction: ours"),
        "history_x10_growth": figures.ratio(SECONDS, "one bar each: ours", "one bar each, a tenth: ours"),
        "history_x10_memory_growth": figures.ratio(MEMORY, "one bar each: ours", "one bar each, a tenth: ours"),
    }
    for step in ("one bar each", "correction"):
        for peer in ("TA-Lib", "polars", "pandas"):
            key = f"{step} {peer} over ours".lower().replace("-", "").replace(" ", "_")
            ratios[key] = figures.ratio(SECONDS, f"{step}: {peer}", f"{step}: ours")
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
