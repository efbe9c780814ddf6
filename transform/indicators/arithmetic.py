"""What the kernel compiles: a bar's step of every recursion, and the windows behind it.

Windows are rings: bar number n, counted from 0, is at n modulo their length, so a window is always summed in the same order,
wherever a pass begins.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

(
    _SMA_20,
    _SMA_50,
    _EMA_12,
    _EMA_26,
    _RSI,
    _MACD,
    _SIGNAL,
    _HISTOGRAM,
    _UPPER,
    _LOWER,
    _ATR,
    _VOLATILITY,
    _CHANGE,
    _MEAN_VOLUME,
    _PRIOR_MEAN_VOLUME,
) = range(15)

# A series' state: its recursions (their sums before the seed), and four windows as rings, of closes, closes, returns and volumes.
_NUMBER, _CLOSE, _FAST, _GAIN, _LOSS, _EMA12, _EMA26, _SIGNAL9, _RANGE, _VOLUME_MEAN = range(10)
_CLOSES_50, _CLOSES_20, _RETURNS_20, _VOLUMES_20 = 10, 60, 80, 100
STATE_WIDTH = 120

_ALPHA_12, _ALPHA_26, _ALPHA_9 = 2.0 / 13.0, 2.0 / 27.0, 2.0 / 10.0


def advance(series, high, low, close, volume, state):
    """See `transform.indicators.kernel.advance`."""
    outputs, carried = np.empty((15, close.size)), np.empty((4, close.size))
    for i in range(close.size):
        of = series[i] * STATE_WIDTH
        if state[of + _NUMBER] < 50.0:
            for output in range(15):
                outputs[output, i] = np.nan
        _take_bar(state, of, high[i], low[i], close[i])
        _note_recursions(state, of, outputs, i)
        _note_windows(state, of, volume[i], outputs, i)
        carried[0, i], carried[1, i], carried[2, i], carried[3, i] = (
            state[of + _NUMBER],
            state[of + _FAST],
            state[of + _GAIN],
            state[of + _LOSS],
        )
    return outputs, carried


def restore(series, close, volume, recursions, state):
    """See `transform.indicators.kernel.restore`."""
    for begin in range(0, close.size, 50):
        of, stored = series[begin] * STATE_WIDTH, recursions[begin // 50]
        last = begin + 49
        state[of + _NUMBER], state[of + _FAST], state[of + _GAIN], state[of + _LOSS] = stored[0], stored[1], stored[2], stored[3]
        state[of + _EMA12], state[of + _EMA26], state[of + _SIGNAL9], state[of + _RANGE] = (
            stored[4],
            stored[5],
            stored[6],
            stored[7],
        )
        state[of + _CLOSE] = close[last]
        for i in range(begin, last + 1):
            at = np.int64(stored[0]) - 1 - (last - i)
            state[of + _CLOSES_50 + at % 50] = close[i]
            state[of + _CLOSES_20 + at % 20] = close[i]
            state[of + _VOLUMES_20 + at % 20] = volume[i]
            if i > begin:
                state[of + _RETURNS_20 + at % 20] = close[i] / close[i - 1] - 1.0
        state[of + _VOLUME_MEAN] = _sum_20(state, of, _VOLUMES_20) / 20.0


@njit(cache=True, nogil=True, error_model="numpy")
def _take_bar(state, of, high, low, close):
    """Advance the recursions by a bar, and put its close and return into their windows."""
    state[of + _NUMBER] += 1.0
    number, before = state[of + _NUMBER], state[of + _CLOSE]
    at = np.int64(number) - 1
    state[of + _EMA12] = _next_ema(number, 12.0, _ALPHA_12, state[of + _EMA12], close)
    state[of + _EMA26] = _next_ema(number, 26.0, _ALPHA_26, state[of + _EMA26], close)
    if number > 14.0:  # MACD's own fast EMA, which TA-Lib seeds together with the slow one, at bar 26 from bars 15 to 26
        state[of + _FAST] = _next_ema(number - 14.0, 12.0, _ALPHA_12, state[of + _FAST], close)
    if number >= 26.0:
        state[of + _SIGNAL9] = _next_ema(
            number - 25.0, 9.0, _ALPHA_9, state[of + _SIGNAL9], state[of + _FAST] - state[of + _EMA26]
        )
    if number > 1.0:
        change = close - before
        state[of + _GAIN] = _next_wilder(number, state[of + _GAIN], max(change, 0.0))
        state[of + _LOSS] = _next_wilder(number, state[of + _LOSS], max(-change, 0.0))
        state[of + _RANGE] = _next_wilder(number, state[of + _RANGE], max(high, before) - min(low, before))
        state[of + _RETURNS_20 + at % 20] = close / before - 1.0
    state[of + _CLOSES_50 + at % 50] = close
    state[of + _CLOSES_20 + at % 20] = close
    state[of + _CLOSE] = close


@njit(cache=True, nogil=True, error_model="numpy")
def _note_recursions(state, of, outputs, i):
    number = state[of + _NUMBER]
    if number >= 12.0:
        outputs[_EMA_12, i] = state[of + _EMA12]
    if number >= 15.0:
        outputs[_ATR, i] = state[of + _RANGE]
        moved = state[of + _GAIN] + state[of + _LOSS]
        outputs[_RSI, i] = 100.0 * (state[of + _GAIN] / moved) if moved > 0.0 else np.nan
    if number >= 26.0:
        outputs[_EMA_26, i] = state[of + _EMA26]
    if number >= 34.0:
        macd = state[of + _FAST] - state[of + _EMA26]
        outputs[_MACD, i] = macd
        outputs[_SIGNAL, i] = state[of + _SIGNAL9]
        outputs[_HISTOGRAM, i] = macd - state[of + _SIGNAL9]


@njit(cache=True, nogil=True, error_model="numpy")
def _note_windows(state, of, volume, outputs, i):
    number = state[of + _NUMBER]
    at = np.int64(number) - 1
    state[of + _VOLUMES_20 + at % 20] = volume
    if number >= 2.0:
        outputs[_CHANGE, i] = state[of + _RETURNS_20 + at % 20] * 100.0
    if number >= 20.0:
        mean = _sum_20(state, of, _CLOSES_20) / 20.0
        spread = 2.0 * math.sqrt(_squares_20(state, of, _CLOSES_20, mean) / 20.0)
        outputs[_SMA_20, i] = mean
        outputs[_UPPER, i] = mean + spread
        outputs[_LOWER, i] = mean - spread
        if number >= 21.0:
            outputs[_PRIOR_MEAN_VOLUME, i] = state[of + _VOLUME_MEAN]
            mean_return = _sum_20(state, of, _RETURNS_20) / 20.0
            outputs[_VOLATILITY, i] = math.sqrt(_squares_20(state, of, _RETURNS_20, mean_return) / 19.0)
        state[of + _VOLUME_MEAN] = _sum_20(state, of, _VOLUMES_20) / 20.0
        outputs[_MEAN_VOLUME, i] = state[of + _VOLUME_MEAN]
    if number >= 50.0:
        outputs[_SMA_50, i] = _sum_50(state, of) / 50.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _next_ema(number, length, alpha, average, value):
    """An EMA that is seeded with the mean of its first `length` values, as TA-Lib's is; their sum before."""
    if number > length:
        return average + (value - average) * alpha
    if number == length:
        return (average + value) / length
    return average + value


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _next_wilder(number, average, value):
    """Wilder's smoothing over 14 changes (New Concepts in Technical Trading Systems, 1978); their sum before bar 15."""
    if number > 15.0:
        return (average * 13.0 + value) / 14.0
    if number == 15.0:
        return (average + value) / 14.0
    return average + value


# Four sums side by side are four times as quick as one, and still in one order on every machine.


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _sum_20(state, of, ring):
    a, b, c, d = state[of + ring], state[of + ring + 1], state[of + ring + 2], state[of + ring + 3]
    for k in range(ring + 4, ring + 20, 4):
        a += state[of + k]
        b += state[of + k + 1]
        c += state[of + k + 2]
        d += state[of + k + 3]
    return (a + b) + (c + d)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _sum_50(state, of):
    a, b, c, d = 0.0, 0.0, state[of + _CLOSES_50 + 48], state[of + _CLOSES_50 + 49]
    for k in range(_CLOSES_50, _CLOSES_50 + 48, 4):
        a += state[of + k]
        b += state[of + k + 1]
        c += state[of + k + 2]
        d += state[of + k + 3]
    return (a + b) + (c + d)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _squares_20(state, of, ring, mean):
    """The sum of the window's squared deviations from `mean`."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for k in range(ring, ring + 20, 4):
        a += (state[of + k] - mean) * (state[of + k] - mean)
        b += (state[of + k + 1] - mean) * (state[of + k + 1] - mean)
        c += (state[of + k + 2] - mean) * (state[of + k + 2] - mean)
        d += (state[of + k + 3] - mean) * (state[of + k + 3] - mean)
    return (a + b) + (c + d)
