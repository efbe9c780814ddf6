"""TA-Lib, symbol by symbol: the definitions that ours follow."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pyarrow as pa
import talib
from numpy.typing import NDArray

from benchmarks.computing.peer import run

Floats = NDArray[np.float64]

NAMES = (
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
_OF_A_SAMPLE = math.sqrt(20 / 19)


def indicators(bars: pa.Table) -> pa.Table:
    """TA-Lib's RSI of a series that never moved is 0; ours is null."""
    high, low, close, volume = (bars[name].to_numpy() for name in ("high", "low", "close", "volume"))
    with duckdb.connect() as memory:
        counted = "select count(*) as bars from bars group by symbol, interval order by symbol, interval"
        lengths = memory.execute(counted).fetchnumpy()["bars"].tolist()
    values = np.full((len(NAMES), bars.num_rows), np.nan)
    begin = 0
    for length in lengths:
        of = slice(begin, begin + length)
        _compute(high[of], low[of], close[of], volume[of], values[:, of])
        begin += length
    keys = {name: bars[name] for name in ("symbol", "interval", "ts")}
    return pa.table({**keys, **{name: pa.array(row, from_pandas=True) for name, row in zip(NAMES, values, strict=True)}})


def _compute(high: Floats, low: Floats, close: Floats, volume: Floats, values: Floats) -> None:
    values[0], values[1] = talib.SMA(close, 20), talib.SMA(close, 50)
    values[2], values[3] = talib.EMA(close, 12), talib.EMA(close, 26)
    values[4] = talib.RSI(close, 14)
    values[5], values[6], values[7] = talib.MACD(close, 12, 26, 9)
    values[8], _, values[9] = talib.BBANDS(close, 20, 2, 2)
    values[10] = talib.ATR(high, low, close, 14)
    values[11] = talib.STDDEV(talib.ROCP(close, 1), 20) * _OF_A_SAMPLE
    values[12] = talib.ROC(close, 1)
    values[13] = talib.SMA(volume, 20)
    values[14, 1:] = values[13, :-1]


if __name__ == "__main__":
    run(indicators)
