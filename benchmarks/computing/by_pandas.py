"""pandas: rolling and exponential windows of a groupby."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.computing.peer import run


def indicators(bars: pa.Table) -> pa.Table:
    """Averages begin with the first value, not with TA-Lib's means."""
    frame = bars.to_pandas()
    series = frame.groupby(["symbol", "interval"], sort=False).ngroup().to_numpy()
    close, before = frame["close"], frame["close"].groupby(series).shift(1)
    change, returns = close - before, close / before - 1
    gain, loss = _smoothed(change.clip(lower=0), series, 1 / 14), _smoothed((-change).clip(lower=0), series, 1 / 14)
    mean, spread = _rolling(close, series, 20).mean().to_numpy(), 2 * _rolling(close, series, 20).std(ddof=0).to_numpy()
    ema_12, ema_26 = _smoothed(close, series, 2 / 13), _smoothed(close, series, 2 / 27)
    macd = ema_12 - ema_26
    signal = _smoothed(pd.Series(macd), series, 2 / 10)
    true_range = np.fmax(frame["high"], before) - np.fmin(frame["low"], before)
    mean_volume = _rolling(frame["volume"], series, 20).mean().to_numpy()
    columns = {
        "sma_20": mean,
        "sma_50": _rolling(close, series, 50).mean().to_numpy(),
        "ema_12": ema_12,
        "ema_26": ema_26,
        "rsi_14": 100 * gain / (gain + loss),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": macd - signal,
        "bollinger_upper_20": mean + spread,
        "bollinger_lower_20": mean - spread,
        "atr_14": _smoothed(true_range, series, 1 / 14),
        "volatility_20": _rolling(returns, series, 20).std().to_numpy(),
        "price_change_pct": 100 * returns.to_numpy(),
        "mean_volume_20": mean_volume,
        "prior_mean_volume_20": pd.Series(mean_volume).groupby(series).shift(1).to_numpy(),
    }
    keys = {name: bars[name] for name in ("symbol", "interval", "ts")}
    return pa.table({**keys, **{name: pa.array(values, from_pandas=True) for name, values in columns.items()}})


def _rolling(values: pd.Series, series: NDArray[np.int64], length: int) -> Any:
    return values.groupby(series).rolling(length)


def _smoothed(values: pd.Series, series: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    return values.groupby(series).ewm(alpha=alpha, adjust=False).mean().to_numpy()


if __name__ == "__main__":
    run(indicators)
