"""Indicators as TA-Lib computes them: an oracle nobody here wrote."""

from __future__ import annotations

import numpy as np
import talib
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def by_talib(close: Floats, volume: Floats) -> dict[str, Floats]:
    """Our columns that TA-Lib has too, of one series in order, NaN during warm-up."""
    return {
        "sma_20": talib.SMA(close, 20),
        "sma_50": talib.SMA(close, 50),
        "ema_12": talib.EMA(close, 12),
        "rsi_14": talib.RSI(close, 14),
        "price_change_pct": talib.ROC(close, 1),
        "mean_volume_20": talib.SMA(volume, 20),
    }
