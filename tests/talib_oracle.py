"""Indicators as TA-Lib computes them, an oracle nobody here wrote, and NumPy where TA-Lib has none that will do."""

from __future__ import annotations

import numpy as np
import talib
from bar_series import Floats, Series


def by_talib(series: Series) -> dict[str, Floats]:
    """Every indicator of one series, NaN during warm-up. A series is at least one bar: TA-Lib refuses an empty one.

    TA-Lib's RSI is 0 where nothing moved; ours is null there.
    """
    close, volume = series.close, series.volume
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    mean_volume = talib.SMA(volume, 20)
    return {
        "sma_20": talib.SMA(close, 20),
        "sma_50": talib.SMA(close, 50),
        "ema_12": talib.EMA(close, 12),
        "ema_26": talib.EMA(close, 26),
        "rsi_14": talib.RSI(close, 14),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "bollinger_upper_20": upper,
        "bollinger_lower_20": lower,
        "atr_14": talib.ATR(series.high, series.low, close, 14),
        "volatility_20": volatility(close),
        "price_change_pct": talib.ROC(close, 1),
        "mean_volume_20": mean_volume,
        "prior_mean_volume_20": np.concatenate(([np.nan], mean_volume[:-1])),
    }


def volatility(close: Floats) -> Floats:
    """By NumPy: TA-Lib knows the deviation of a population only."""
    values = np.full(close.size, np.nan)
    if close.size > 20:
        returns = close[1:] / close[:-1] - 1
        values[20:] = np.lib.stride_tricks.sliding_window_view(returns, 20).std(axis=1, ddof=1)
    return values
