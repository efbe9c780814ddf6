"""polars: expressions over each symbol, from Arrow and to Arrow, on all cores."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from benchmarks.computing.peer import run

KEYS = ("symbol", "interval")


def indicators(bars: pa.Table) -> pa.Table:
    """Averages begin with the first value, not with TA-Lib's means."""
    frame = pl.DataFrame(bars)
    return frame.select(
        *KEYS, "ts", *(expression.over(KEYS).alias(name) for name, expression in _expressions().items())
    ).to_arrow()


def _expressions() -> dict[str, pl.Expr]:
    high, low, close, volume = (pl.col(name) for name in ("high", "low", "close", "volume"))
    before, change = close.shift(1), close.diff()
    gain, loss = _smoothed(change.clip(lower_bound=0), 1 / 14), _smoothed((-change).clip(lower_bound=0), 1 / 14)
    mean, spread = close.rolling_mean(20), 2 * close.rolling_std(20, ddof=0)
    ema_12, ema_26 = _smoothed(close, 2 / 13), _smoothed(close, 2 / 27)
    macd = ema_12 - ema_26
    signal = _smoothed(macd, 2 / 10)
    return {
        "sma_20": mean,
        "sma_50": close.rolling_mean(50),
        "ema_12": ema_12,
        "ema_26": ema_26,
        "rsi_14": 100 * gain / (gain + loss),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": macd - signal,
        "bollinger_upper_20": mean + spread,
        "bollinger_lower_20": mean - spread,
        "atr_14": _smoothed(pl.max_horizontal(high, before) - pl.min_horizontal(low, before), 1 / 14),
        "volatility_20": close.pct_change().rolling_std(20),
        "price_change_pct": 100 * close.pct_change(),
        "mean_volume_20": volume.rolling_mean(20),
        "prior_mean_volume_20": volume.rolling_mean(20).shift(1),
    }


def _smoothed(values: pl.Expr, alpha: float) -> pl.Expr:
    return values.ewm_mean(alpha=alpha, adjust=False)


if __name__ == "__main__":
    run(indicators)
