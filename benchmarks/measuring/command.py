"""What `make bench-NAME` takes, and does with the figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.measuring.process import CaseError
from benchmarks.measuring.report import FEWEST_RUNS, Figures, print_table, write_results

Bench = TypeVar("Bench")
Open = Callable[[], AbstractContextManager[Bench]]
Run = Callable[[Bench, Sequence[str], int, int], tuple[Figures, dict[str, float]]]
"""Runs the cases of these names, on so many messages, so many times each."""


@dataclass(frozen=True)
class Amount:
    """What a benchmark takes unless asked for otherwise: `count` messages, or what `unit` names; `subject` says more of them."""

    count: int
    unit: str
    subject: str


def run_benchmark(
    name: str, description: str | None, amount: Amount, cases: Collection[str], open_bench: Open[Bench], run: Run[Bench]
) -> int:
    """Run what the command line asks for, print its table, write the results of a whole run; the exit code."""
    options = _parse(name, description, cases, amount)
    try:
        with open_bench() as bench:
            figures, ratios = run(bench, options.case or tuple(cases), options.count, options.runs)
    except CaseError as error:
        print(error, file=sys.stderr)
        return 1
    print_table(f"{options.count:,} {amount.unit}: {amount.subject}", figures, ratios)
    if options.case is None and options.count == amount.count and options.runs >= FEWEST_RUNS:
        print(f"written: {write_results(name, figures, ratios).relative_to(Path.cwd())}")
    return 0


def _parse(name: str, description: str | None, cases: Collection[str], amount: Amount) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"make bench-{name}", description=description)
    parser.add_argument(
        f"--{amount.unit}", type=int, default=amount.count, dest="count", help=f"{amount.unit} to take (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=FEWEST_RUNS, help="runs of each case, interleaved (default: %(default)s)")
    parser.add_argument(
        "--case", action="append", choices=cases, help="only this one, and no others unless given again; writes no results"
    )
    return parser.parse_args()
