"""Golden vectors of the indicators: 120 bars with a trait each, 22 that never move, and all their values.

`indicator_exact.csv` holds the bars and each value in exact rational arithmetic (`exact_oracle`), rounded once to the nearest
float: it owes nothing to the kernel and need not ever change. `indicator_kernel.csv` holds the kernel's own values of the same
bars, as hexadecimal floats: it tells when the arithmetic changes, be it in the last bit.

    PYTHONPATH=.:tests .venv/bin/python -m golden.indicators

writes both anew.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from bar_series import Series, computed
from exact_oracle import exactly, nearest

from transform.indicators.kernel import CARRIED, OUTPUTS

FOLDER = Path(__file__).parent
EXACT = FOLDER / "indicator_exact.csv"
KERNEL = FOLDER / "indicator_kernel.csv"
COMMAND = "PYTHONPATH=.:tests .venv/bin/python -m golden.indicators"

Bar = tuple[date, str, float, float, float, float]
"""Its day, its trait, high, low, close, volume."""


def bars() -> dict[str, list[Bar]]:
    """The bars of both series, made of decimals that anybody can check."""
    never_moved = [(date(2024, 1, 1) + timedelta(day), "never moved", 7.25, 7.25, 7.25, 300.0) for day in range(22)]
    return {"GOLD": list(_gold()), "HALT": never_moved}


def _gold() -> Iterator[Bar]:
    day, cents = date(2024, 1, 1), 10_000
    for number in range(1, 121):
        trait = _trait(number)
        step = (number * 37 % 101) - 50
        day += timedelta(30 if trait == "gap" else 1)
        before = cents
        if trait == "jump":
            cents = cents * 8
        elif trait == "split":
            cents = cents // 8
        elif trait == "only losses":
            cents -= 100 + abs(step)
        elif trait not in ("flat", "tie") or (trait == "tie" and number % 2):
            cents += 400 if trait == "gap" else step
        spread = 0 if trait == "flat" else 7 * (number % 11)
        volume = {"flat": 0.0, "hardly a volume": 5e-324}.get(trait, 1000.0 + number * 997 % 701)
        yield day, trait, (max(before, cents) + spread) / 100, (min(before, cents) - spread) / 100, cents / 100, volume


def _trait(number: int) -> str:
    last = {52: "walk", 58: "tie", 59: "gap", 85: "flat", 86: "jump", 99: "walk", 100: "split", 110: "hardly a volume"}
    return next((trait for until, trait in last.items() if number <= until), "only losses")


def series_of(rows: list[Bar]) -> Series:
    """The prices and volumes of the bars."""
    return Series(*np.array([row[2:] for row in rows], dtype=float).T.copy())


def exact_rows() -> Iterator[list[str]]:
    """The lines of `indicator_exact.csv`; empty where there is no value."""
    yield ["symbol", "ts", "trait", "high", "low", "close", "volume", *OUTPUTS]
    for symbol, rows in bars().items():
        columns = [nearest(column) for column in exactly(series_of(rows)).values()]
        for row, *values in zip(rows, *columns, strict=True):
            yield [symbol, row[0].isoformat(), row[1], *map(repr, row[2:]), *_cells(values, repr)]


def kernel_rows() -> Iterator[list[str]]:
    """The lines of `indicator_kernel.csv`; empty where there is no value."""
    yield ["symbol", "ts", *OUTPUTS, *CARRIED]
    for symbol, rows in bars().items():
        for row, *values in zip(rows, *computed(series_of(rows)).values(), strict=True):
            yield [symbol, row[0].isoformat(), *_cells(values, float.hex)]


def as_text(rows: Iterable[list[str]]) -> str:
    """The lines as a CSV file holds them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cells(values: Iterable[float], write: Callable[[float], str]) -> list[str]:
    return ["" if np.isnan(value) else write(float(value)) for value in values]


if __name__ == "__main__":
    EXACT.write_text(as_text(exact_rows()))
    KERNEL.write_text(as_text(kernel_rows()))
