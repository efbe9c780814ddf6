"""What alerts need besides the indicators: crossings, and the highest and lowest price of the 252 bars before.

Like the kernel: one pass over bars in the order of time, state in and state out, the same to the bit however the bars come.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from transform.indicators import signal_arithmetic
from transform.indicators.kernel import OUTPUTS
from transform.indicators.signal_arithmetic import RING_WIDTH

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

SIGNALS = ("sma_cross", "macd_cross", "bollinger_break", "prior_high_252", "prior_low_252")
"""The rows of what `advance` gives; the first three are 1 (upwards), -1 (downwards) or 0."""

CROSSINGS = SIGNALS[:3]

RANGE_INTERVAL = "1d"
"""52 weeks are a matter of daily bars: series of other intervals have no range."""

COMPARED = ("sma_20", "sma_50", "macd_histogram", "bollinger_upper_20", "bollinger_lower_20")
"""The indicators whose places relative to each other make crossings; the stored ones restore the state."""

_ROWS = [OUTPUTS.index(name) for name in COMPARED]
_SIDES = 4  # of sma_20 to sma_50, of MACD to its signal, of the close to the upper and to the lower band


class Signals:
    """The state of many series, and what follows from their next bars. A series is a row of it, from 0 on."""

    def __init__(self) -> None:
        self._sides = np.empty((0, _SIDES))
        self._ring_of = np.empty(0, np.int64)
        self._rings = np.empty((0, RING_WIDTH))

    def __len__(self) -> int:
        return len(self._ring_of)

    def add(self, has_range: NDArray[np.bool_]) -> None:
        """Take on new series of which no bar was seen; `has_range` says of each whether it is of `RANGE_INTERVAL`."""
        if not len(has_range):
            return
        self._sides = np.concatenate((self._sides, np.full((len(has_range), _SIDES), np.nan)))
        rings = np.where(has_range, len(self._rings) + np.cumsum(has_range) - 1, -1)
        self._ring_of = np.concatenate((self._ring_of, rings))
        self._rings = np.concatenate((self._rings, np.zeros((int(has_range.sum()), RING_WIDTH))))

    def advance(self, series: Places, high: Floats, low: Floats, close: Floats, outputs: Floats) -> Floats:
        """The signals of bars in the order of time, shape (len(SIGNALS), bars), NaN where there is none.

        `outputs` is what the kernel gave for the same bars; prices are those of the price basis.
        """
        signals = np.full((len(SIGNALS), close.size), np.nan)
        _compiled_cross()(series, close, *(outputs[row] for row in _ROWS), self._sides, signals)
        _compiled_range()(self._ring_of[series], high, low, self._rings, signals)
        return signals

    def restore_sides(self, series: Places, close: Floats, compared: Floats) -> None:
        """Set where each series stood after its last bar, of which these are the close and the stored `COMPARED`, in rows."""
        _compiled_cross()(series, close, *compared, self._sides, np.empty((len(SIGNALS), close.size)))

    def restore_ranges(self, series: Places, high: Floats, low: Floats) -> None:
        """Set the ranges of series by their last bars, `RANGE_BARS` of each, or all where there are fewer."""
        _compiled_range()(self._ring_of[series], high, low, self._rings, np.empty((len(SIGNALS), high.size)))


def load_compiled_code() -> None:
    """Have the arithmetic compiled: a moment from the cache, seconds the first time."""
    _compiled_cross()
    _compiled_range()


_COLUMN = types.Array(types.float64, 1, "C", readonly=True)
_PLACES = types.Array(types.int64, 1, "C", readonly=True)
_TABLE = types.Array(types.float64, 2, "C")


@cache
def _compiled_cross() -> Any:
    signature = types.void(_PLACES, *[_COLUMN] * 6, _TABLE, _TABLE)
    return njit(signature, cache=True, nogil=True, error_model="numpy")(signal_arithmetic.cross)


@cache
def _compiled_range() -> Any:
    signature = types.void(_PLACES, _COLUMN, _COLUMN, _TABLE, _TABLE)
    return njit(signature, cache=True, nogil=True, error_model="numpy")(signal_arithmetic.range_before)
