"""The indicator kernel: one pass over bars in the order of time, state in and state out, no I/O.

Conventions are TA-Lib's with an unstable period of 0, save where docs/indicators.md says otherwise. A value is NaN where
there is none: during warm-up, and the RSI of a series that never moved. Windows are summed afresh for every bar, never kept
as running sums, and always in the same order: only so do bars that are computed one at a time, in pieces or all at once get
the same values to the bit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from transform.indicators import arithmetic
from transform.indicators.arithmetic import STATE_WIDTH

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

VERSION = 3
"""Part of the stored state's fingerprint: raise it when any value the kernel gives could change."""

OUTPUTS = (
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_histogram",
    "bollinger_upper_20",
    "bollinger_lower_20",
    "atr_14",
    "volatility_20",
    "price_change_pct",
    "mean_volume_20",
    "prior_mean_volume_20",
)
"""The rows of `advance`'s first result; the last one is the mean volume of the 20 bars before this one."""

CARRIED = ("bar_number", "macd_fast", "avg_gain", "avg_loss")
"""The rows of its second result: what the next bar goes on from, beside the outputs."""

WINDOW_BARS = 50
"""The longest window: state is restored from as many bars."""

RECURSIONS = ("bar_number", "macd_fast", "avg_gain", "avg_loss", "ema_12", "ema_26", "macd_signal", "atr_14")
"""The stored columns that `restore` takes, in its order."""


def new_state(series: int) -> Floats:
    """The state of so many series of which no bar was seen, shape (series, STATE_WIDTH)."""
    return np.zeros((series, STATE_WIDTH))


def advance(series: Places, high: Floats, low: Floats, close: Floats, volume: Floats, state: Floats) -> tuple[Floats, Floats]:
    """Compute the indicators of bars of many series, in any interleaving of them, each series in the order of time.

    `series[i]` is bar i's row of `state`, which is advanced in place. Prices are those of the price basis. Returns the
    outputs, shape (len(OUTPUTS), bars), and what is carried on, shape (len(CARRIED), bars). Raises ValueError for arrays
    that do not fit together.
    """
    _check(series, state, high, low, close, volume)
    outputs, carried = _compiled_advance()(series, high, low, close, volume, state.reshape(-1))
    return outputs, carried


def restore(series: Places, close: Floats, volume: Floats, recursions: Floats, state: Floats) -> None:
    """Set the state of series of at least `WINDOW_BARS` bars to what it was after the last of them.

    `close` and `volume` are the last `WINDOW_BARS` bars of each, series by series in the order of time, and `series[i]` is
    bar i's row of `state`. `recursions`, shape (series, len(RECURSIONS)), is what was stored with the last one. Raises
    ValueError for arrays that do not fit together.
    """
    _check(series, state, close, volume)
    if recursions.shape != (close.size // WINDOW_BARS, len(RECURSIONS)) or close.size % WINDOW_BARS:
        raise ValueError(f"{close.size} bars and recursions of the shape {recursions.shape} are not {WINDOW_BARS} bars a series")
    _compiled_restore()(series, close, volume, recursions, state.reshape(-1))


def load_compiled_code() -> None:
    """Have the arithmetic compiled: a moment from the cache, seconds the first time."""
    _compiled_advance()
    _compiled_restore()


def _check(series: Places, state: Floats, *columns: Floats) -> None:
    """The arithmetic reads and writes by place and looks at no bound."""
    if state.ndim != 2 or state.shape[1] != STATE_WIDTH:
        raise ValueError(f"the state has the shape {state.shape}, and not (series, {STATE_WIDTH}): make it with new_state")
    if any(column.shape != series.shape for column in columns):
        raise ValueError(f"{series.size} bars have columns of {sorted({column.size for column in columns})}")
    if series.size and not 0 <= series.min() <= series.max() < len(state):
        raise ValueError(f"series {series.min()} to {series.max()} are not all among the state's {len(state)}")


# One signature, for arrays that may be written to or not: there is nothing left to compile when other ones come.
_COLUMN = types.Array(types.float64, 1, "C", readonly=True)
_PLACES = types.Array(types.int64, 1, "C", readonly=True)
_STORED = types.Array(types.float64, 2, "C", readonly=True)
_STATE = types.Array(types.float64, 1, "C")


@cache
def _compiled_advance() -> Any:
    signature = types.UniTuple(types.Array(types.float64, 2, "C"), 2)(_PLACES, *[_COLUMN] * 4, _STATE)
    return njit(signature, cache=True, nogil=True, error_model="numpy")(arithmetic.advance)


@cache
def _compiled_restore() -> Any:
    return njit(types.void(_PLACES, _COLUMN, _COLUMN, _STORED, _STATE), cache=True, nogil=True, error_model="numpy")(
        arithmetic.restore
    )
