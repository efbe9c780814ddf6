"""Cases run side by side, their medians as a table for people and as `benchmarks/results/<name>.json`."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[1] / "results"
FEWEST_RUNS = 3

Case = Callable[[], Mapping[str, float]]
"""One run of a case: its figures, by unit."""


@dataclass(frozen=True)
class Figure:
    """What one case came to in one unit, a value a run."""

    case: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Figures:
    """All figures of a benchmark, in the order in which their cases were named."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = {(figure.case, figure.unit): figure for figure in figures}

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._figures.values())

    def median(self, unit: str, case: str) -> float | None:
        """The median of a case in this unit; None when it did not run."""
        figure = self._figures.get((case, unit))
        return None if figure is None else figure.median

    def ratio(self, unit: str, above: str, below: str) -> float | None:
        """The median of the case `above` over that of `below`; None when either did not run."""
        dividend, divisor = self.median(unit, above), self.median(unit, below)
        return None if dividend is None or divisor is None else dividend / divisor


def measure(cases: Mapping[str, Case], runs: int, say: Callable[[str], None] = print) -> Figures:
    """Run each case once a round, for `runs` rounds: what slows the machine for a while then slows all of them alike."""
    values: dict[tuple[str, str], list[float]] = {}
    for number in range(1, runs + 1):
        for name, case in cases.items():
            figures = case()
            shown = ", ".join(f"{_shown(value)} {unit}" for unit, value in figures.items())
            say(f"  run {number} of {runs}: {name}: {shown}")
            for unit, value in figures.items():
                values.setdefault((name, unit), []).append(value)
    return Figures([Figure(name, unit, tuple(found)) for (name, unit), found in values.items()])


def print_table(title: str, figures: Figures, ratios: Mapping[str, float]) -> None:
    """The medians with their spread, a row a case and unit, then the ratios."""
    table = Table("case", "unit", title=title, title_justify="left")
    for column in ("median", "min", "max", "runs"):
        table.add_column(column, justify="right")
    last = None
    for figure in figures:
        spread = [_shown(value) for value in (figure.median, min(figure.values), max(figure.values))]
        table.add_row("" if figure.case == last else figure.case, figure.unit, *spread, str(len(figure.values)))
        last = figure.case
    console = Console(width=120)
    console.print(table)
    for name, value in ratios.items():
        console.print(f"  {name} = {_shown(value)}", highlight=False)


def write_results(name: str, figures: Figures, ratios: Mapping[str, float], folder: Path = RESULTS) -> Path:
    """Write `<folder>/<name>.json` and return its path. Raises ValueError when a case ran less than three times."""
    if few := sorted({figure.case for figure in figures if len(figure.values) < FEWEST_RUNS}):
        raise ValueError(f"a median needs {FEWEST_RUNS} runs at least; too few of: {', '.join(few)}")
    cases = [
        {
            "case": figure.case,
            "unit": figure.unit,
            "median": figure.median,
            "min": min(figure.values),
            "max": max(figure.values),
            "runs": len(figure.values),
        }
        for figure in figures
    ]
    content = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "cases": cases,
        "ratios": dict(ratios),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def describe_machine() -> str:
    """Processor, cores, system and Python, in one line."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
