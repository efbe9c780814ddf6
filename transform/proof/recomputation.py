"""Making a value again of what it comes from: a derived bar of finer ones, prices on their basis, indicators of all bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa

from transform.indicators.kernel import OUTPUTS, advance, new_state
from transform.indicators.rows import NUMBERS
from transform.indicators.signals import RANGE_INTERVAL, SIGNALS, Signals
from transform.proof.equality import differences
from transform.proof.explanation import Check
from transform.proof.held import Row

PRICES = ("open", "high", "low", "close")
_BASIS = tuple(f"basis_{name}" for name in PRICES)
_FOLDED = (*PRICES, "adj_close", "volume", "price_basis", *_BASIS, "source")


def indicators_again(series: pa.Table) -> Mapping[str, float | None]:
    """Every indicator of the last of these bars, by the kernel from the first one on; `series` is in the order of time."""
    high, low, close, volume = (np.ascontiguousarray(series[name].to_numpy()) for name in NUMBERS)
    outputs, _ = advance(np.zeros(series.num_rows, np.int64), high, low, close, volume, new_state(1))
    return {name: None if np.isnan(value) else float(value) for name, value in zip(OUTPUTS, outputs[:, -1], strict=True)}


def signals_again(series: pa.Table, interval: str) -> Mapping[str, float | None]:
    """The signals of the last of these bars, which are all of a series of that interval up to it."""
    high, low, close, volume = (np.ascontiguousarray(series[name].to_numpy()) for name in NUMBERS)
    places = np.zeros(series.num_rows, np.int64)
    outputs, _ = advance(places, high, low, close, volume, new_state(1))
    signals = Signals()
    signals.add(np.array([interval == RANGE_INTERVAL]))
    found = signals.advance(places, high, low, close, outputs)[:, -1]
    return {name: None if np.isnan(value) else float(value) for name, value in zip(SIGNALS, found, strict=True)}


def bar_again(bar: Row, landed: Sequence[Row]) -> Check:
    """Make the bar again: of its landed row, or of the landed finer bars it is derived of."""
    if not landed:
        return Check("the models hold no landed bar that it could come from", False)
    if bar["derived_from"] is None:
        expected, said = _on_price_basis(landed[0]), "its prices on the price basis, made again of its row"
    else:
        expected, said = folded(landed), f"folded again of {len(landed):,} bars of {bar['derived_from']}"
    wrong = differences(expected, bar, expected)
    return Check(f"{said}, differ: {', '.join(wrong)}", False) if wrong else Check(f"{said}: equal to the bit", True)


def folded(parts: Sequence[Row]) -> Row:
    """The coarser bar that these make, which are in the order of time: what `int_derived_bar` says in SQL."""
    first, last = parts[0], parts[-1]
    is_adjusted = all(part["price_basis"] == "adjusted" for part in parts)
    basis = "basis_" if is_adjusted else ""
    values = (
        *(first["open"], max(part["high"] for part in parts), min(part["low"] for part in parts), last["close"]),
        last["adj_close"] if is_adjusted else None,
        reduce(add, (part["volume"] for part in parts)),
        "adjusted" if is_adjusted else "raw",
        first[f"{basis}open"],
        max(part[f"{basis}high"] for part in parts),
        min(part[f"{basis}low"] for part in parts),
        last[f"{basis}close"],
        last["source"],
    )
    return dict(zip(_FOLDED, values, strict=True))


def _on_price_basis(landed: Row) -> Row:
    """What `int_bar` must hold of a landed row."""
    raw = {name: landed[name] for name in (*PRICES, "adj_close", "volume", "source")}
    if landed["adj_close"] is None:
        return {**raw, "price_basis": "raw", **{f"basis_{name}": landed[name] for name in PRICES}}
    scale = landed["adj_close"] / landed["close"]
    scaled = {f"basis_{name}": landed[name] * scale for name in ("open", "high", "low")}
    return {**raw, "price_basis": "adjusted", **scaled, "basis_close": landed["adj_close"]}
