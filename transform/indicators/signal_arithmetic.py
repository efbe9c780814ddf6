"""What is compiled for signals: which side of each other two values are on, and a ring of highs and lows."""

from __future__ import annotations

import numpy as np
from numba import njit

RANGE_BARS = 252
_SEEN, _HIGHEST, _LOWEST, HIGHS_AT = range(4)  # of a ring, whose highs (with the sign turned) and lows follow
RING_WIDTH = HIGHS_AT + 2 * RANGE_BARS
_EQUAL_WITHIN = 1e-12  # of the close: two means of one constant price differ by their rounding, and must not cross


@njit(cache=True, nogil=True, error_model="numpy")
def _side(one, other, close):
    """1 above, -1 below, 0 where the two are equal but for rounding; NaN where either is missing."""
    apart = one - other
    if np.isnan(apart):
        return np.nan
    if abs(apart) <= _EQUAL_WITHIN * close:
        return 0.0
    return 1.0 if apart > 0.0 else -1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _crossed(before, now):
    """TradingView's ta.crossover and ta.crossunder: on one side now, and not on it before. NaN in warm-up."""
    if np.isnan(before) or np.isnan(now):
        return np.nan
    return now if now != 0.0 and before != now else 0.0


def cross(series, close, sma_20, sma_50, histogram, upper, lower, sides, signals):
    """Note the crossings of each bar, and in `sides` where its series stands after it."""
    for i in range(close.size):
        of = sides[series[i]]
        sma = _side(sma_20[i], sma_50[i], close[i])
        macd = _side(histogram[i], 0.0, close[i])
        above, below = _side(close[i], upper[i], close[i]), _side(close[i], lower[i], close[i])
        signals[0, i] = _crossed(of[0], sma)
        signals[1, i] = _crossed(of[1], macd)
        up, down = _crossed(of[2], above), _crossed(of[3], below)
        signals[2, i] = np.nan if np.isnan(up) else 1.0 if up > 0.0 else -1.0 if down < 0.0 else 0.0
        of[0], of[1], of[2], of[3] = sma, macd, above, below


def range_before(ring_of, high, low, rings, signals):
    """Note the highest and the lowest price of the bars before each, and put its own into its series' ring."""
    for i in range(high.size):
        if ring_of[i] < 0:
            continue
        ring = rings[ring_of[i]]
        is_full = ring[_SEEN] >= RANGE_BARS
        if is_full:
            signals[3, i], signals[4, i] = ring[_HIGHEST], ring[_LOWEST]
        at = np.int64(ring[_SEEN]) % RANGE_BARS
        ring[_HIGHEST] = -_push(ring[HIGHS_AT : HIGHS_AT + RANGE_BARS], at, is_full, -ring[_HIGHEST], -high[i])
        ring[_LOWEST] = _push(ring[HIGHS_AT + RANGE_BARS :], at, is_full, ring[_LOWEST], low[i])
        ring[_SEEN] += 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _push(window, at, is_full, lowest, value):
    """Put a value into the window at its place; the window's lowest then. All are looked at only when the lowest leaves."""
    leaving, window[at] = window[at], value
    if (at == 0 and not is_full) or value <= lowest:
        return value
    if not is_full or leaving > lowest:
        return lowest
    lowest = value
    for other in window:
        lowest = min(lowest, other)
    return lowest
