"""Indicators in exact rational arithmetic, from the definitions and nothing else: the oracle where floats are the question.

Only square roots are rounded, at 128 bits or more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from bar_series import Floats, Series

Column = list[Fraction | None]
"""A value for each bar; None where there is none, as before the first."""


def exactly(series: Series) -> dict[str, Column]:
    """Every indicator of one series. Slow, and slower with every bar: for some hundred bars."""
    high, low, close, volume = ([Fraction(float(value)) for value in column] for column in series.columns)
    slow, fast = _ema(close, 26), [None] * len(close[:14]) + _ema(close[14:], 12)
    difference = _each(lambda f, s: f - s, fast, slow)
    signal = _after_none(lambda values: _ema(values, 9), difference)
    macd = _each(lambda d, _: d, difference, signal)
    middle, deviation = _mean(close, 20), _each(_root, _variance(close, 20, divisor=20))
    ranges = [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in range(1, len(close))]
    returns = [after / before - 1 for before, after in pairwise(close)]
    mean_volume = _mean(volume, 20)
    columns = {
        "sma_20": middle,
        "sma_50": _mean(close, 50),
        "ema_12": _ema(close, 12),
        "ema_26": slow,
        "rsi_14": [None, *_rsi([after - before for before, after in pairwise(close)])],
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": _each(lambda m, s: m - s, macd, signal),
        "bollinger_upper_20": _each(lambda m, d: m + 2 * d, middle, deviation),
        "bollinger_lower_20": _each(lambda m, d: m - 2 * d, middle, deviation),
        "atr_14": [None, *_wilder(ranges)],
        "volatility_20": [None, *_each(_root, _variance(returns, 20, divisor=19))],
        "price_change_pct": [None, *(100 * change for change in returns)],
        "mean_volume_20": mean_volume,
        "prior_mean_volume_20": [None, *mean_volume],
    }
    return {name: column[: len(close)] for name, column in columns.items()}


def nearest(column: Column) -> Floats:
    """Each value rounded once, to the nearest float; NaN for None."""
    return np.array([math.nan if value is None else float(value) for value in column])


def _each(function: Callable[..., Fraction | None], *columns: Column) -> Column:
    return [None if None in values else function(*values) for values in zip(*columns, strict=True)]


def _after_none(function: Callable[[list[Fraction]], Column], column: Column) -> Column:
    """What `function` gives for the values behind the leading Nones."""
    values = [value for value in column if value is not None]
    return [None] * (len(column) - len(values)) + function(values)


def _recursion(values: Sequence[Fraction], length: int, weight: Fraction) -> Column:
    """Seeded with the mean of the first `length` values; then each value enters with `weight`."""
    column: Column = [None] * len(values)
    for i in range(length - 1, len(values)):
        before = column[i - 1] if i >= length else None
        column[i] = sum(values[:length], Fraction(0)) / length if before is None else before + weight * (values[i] - before)
    return column


def _ema(values: Sequence[Fraction], length: int) -> Column:
    return _recursion(values, length, Fraction(2, length + 1))


def _wilder(values: Sequence[Fraction]) -> Column:
    return _recursion(values, 14, Fraction(1, 14))


def _rsi(changes: Sequence[Fraction]) -> Column:
    zero = Fraction(0)
    gain, loss = _wilder([max(change, zero) for change in changes]), _wilder([max(-change, zero) for change in changes])
    return _each(lambda up, down: 100 * up / (up + down) if up + down else None, gain, loss)


def _mean(values: Sequence[Fraction], length: int) -> Column:
    sums = [sum(values[: i + 1], Fraction(0)) if i < length else None for i in range(len(values))]
    for i in range(length, len(values)):
        sums[i] = sums[i - 1] + values[i] - values[i - length]
    return [None if i + 1 < length else total / length for i, total in enumerate(sums)]


def _variance(values: Sequence[Fraction], length: int, divisor: int) -> Column:
    """The mean of squares less the square of the mean, which is exact here, times `length / divisor`."""
    squares = _mean([value * value for value in values], length)
    return _each(lambda square, mean: (square - mean * mean) * length / divisor, squares, _mean(values, length))


def _root(value: Fraction) -> Fraction:
    if value == 0:
        return value
    shift = max(0, 128 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    return Fraction(math.isqrt((value.numerator << 2 * shift) // value.denominator), 1 << shift)
