"""The indicator kernel: one pass over ordered bars, state in and state out, no I/O.

Conventions are TA-Lib's with an unstable period of 0, save where a docstring says otherwise. Every value is
NaN during warm-up. Windows are summed afresh from their bars, never kept as running sums: only so does a
pass resumed from stored state equal a pass over the whole history to the bit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

CONTEXT_BARS = 50
"""Bars before the first one computed that the windows look back on."""

VERSION = 1
"""Part of the stored state's fingerprint: raise it when any value the kernel gives could change."""

STATE = ("bar_number", "ema_12_state", "avg_gain", "avg_loss")
"""What a bar carries on to the next: its number in its series (from 1), the EMA 12 (the sum of closes before
bar 12), Wilder's averages of gains and losses (their sums before bar 15)."""

OUTPUTS = (
    "sma_20",
    "sma_50",
    "ema_12",
    "rsi_14",
    "volatility_20",
    "price_change_pct",
    "mean_volume_20",
    "prior_mean_volume_20",
)
"""The rows of `advance`'s result; the last one is the mean volume of the 20 bars before this one."""

_EMA_12 = 2.0 / 13.0


@njit(cache=True)
def advance(
    first: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    start: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the indicators of many series laid one after the other.

    Series s is the rows `first[s]` to `end[s]`, in `ts` order; rows before `begin[s]` are context that is
    read and not computed. `start[s]` is the `STATE` after row `begin[s] - 1`, zeros for a new series.

    Returns the outputs, shape (len(OUTPUTS), rows), and the state after each row, shape (len(STATE), rows);
    both are NaN in context rows.
    """
    rows = close.size
    outputs = np.full((8, rows), np.nan)
    states = np.full((4, rows), np.nan)
    for s in range(first.size):
        number, ema, gain, loss = start[s, 0], start[s, 1], start[s, 2], start[s, 3]
        for i in range(begin[s], end[s]):
            number += 1.0
            ema = _next_ema(number, ema, close[i])
            if number > 1:
                change = close[i] - close[i - 1]
                gain = _next_wilder(number, gain, max(change, 0.0))
                loss = _next_wilder(number, loss, max(-change, 0.0))
                outputs[5, i] = (close[i] / close[i - 1] - 1.0) * 100.0
            if number >= 12:
                outputs[2, i] = ema
            if number >= 15 and gain + loss > 0.0:
                outputs[3, i] = 100.0 * (gain / (gain + loss))
            if number >= 20:
                outputs[0, i] = _mean(close, i, 20)
                outputs[6, i] = _mean(volume, i, 20)
            if number >= 21:
                outputs[4, i] = _volatility(close, i, 20)
                outputs[7, i] = _mean(volume, i - 1, 20)
            if number >= 50:
                outputs[1, i] = _mean(close, i, 50)
            states[0, i], states[1, i], states[2, i], states[3, i] = number, ema, gain, loss
    return outputs, states


@njit(cache=True)
def _next_ema(number: float, ema: float, close: float) -> float:
    """EMA 12 seeded with the mean of its first 12 closes, as TA-Lib does."""
    if number > 12:
        return ema + (close - ema) * _EMA_12
    if number == 12:
        return (ema + close) / 12.0
    return ema + close


@njit(cache=True)
def _next_wilder(number: float, average: float, value: float) -> float:
    """Wilder's smoothing over 14 changes (New Concepts in Technical Trading Systems, 1978)."""
    if number > 15:
        return (average * 13.0 + value) / 14.0
    if number == 15:
        return (average + value) / 14.0
    return average + value


@njit(cache=True)
def _mean(values: NDArray[np.float64], last: int, length: int) -> float:
    total = 0.0
    for i in range(last - length + 1, last + 1):
        total += values[i]
    return total / length


@njit(cache=True)
def _volatility(close: NDArray[np.float64], last: int, length: int) -> float:
    """Sample standard deviation of the last `length` simple returns, a fraction, not annualised."""
    mean = 0.0
    for i in range(last - length + 1, last + 1):
        mean += close[i] / close[i - 1] - 1.0
    mean /= length
    squares = 0.0
    for i in range(last - length + 1, last + 1):
        deviation = close[i] / close[i - 1] - 1.0 - mean
        squares += deviation * deviation
    return math.sqrt(squares / (length - 1))
