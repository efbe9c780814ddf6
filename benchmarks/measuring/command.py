"""What `make bench-NAME` takes, and does with the figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from benchmarks.measuring.broker import Bench, open_bench
from benchmarks.measuring.process import CaseError
from benchmarks.measuring.report import FEWEST_RUNS, Figures, print_table, write_results

Ratios = dict[str, float]
Run = Callable[[Bench, Sequence[str], int, int], tuple[Figures, Ratios]]
"""Runs the cases of these names, on so many messages, so many times each."""


def run_benchmark(name: str, description: str | None, subject: str, cases: Collection[str], run: Run, messages: int) -> int:
    """Run what the command line asks for, print its table, write the results of a whole run; the exit code.

    `subject` says what the messages are, behind their number, which is `messages` unless asked for otherwise.
    """
    options = _parse(name, description, cases, messages)
    try:
        with open_bench() as bench:
            figures, ratios = run(bench, options.case or tuple(cases), options.messages, options.runs)
    except CaseError as error:
        print(error, file=sys.stderr)
        return 1
    print_table(f"{options.messages:,} {subject}", figures, ratios)
    if options.case is None and options.runs >= FEWEST_RUNS:
        print(f"written: {write_results(name, figures, ratios).relative_to(Path.cwd())}")
    return 0


def _parse(name: str, description: str | None, cases: Collection[str], messages: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"make bench-{name}", description=description)
    parser.add_argument("--messages", type=int, default=messages, help="bars to take (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=FEWEST_RUNS, help="runs of each case, interleaved (default: %(default)s)")
    parser.add_argument(
        "--case", action="append", choices=cases, help="only this one, and no others unless given again; writes no results"
    )
    return parser.parse_args()
