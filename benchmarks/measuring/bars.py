"""Seeded one-minute bars that look like a market's, for benchmarks that must not depend on a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from ingestion.sources.bars import FEED_SCHEMA

_OPENS_AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_SESSION_MINUTES = 390
_YEAR_MINUTES = 252 * _SESSION_MINUTES
_TICK = 0.01


def make_bars(rows: int, symbols: int = 500, seed: int = 1) -> pa.Table:
    """`rows` bars in FEED_SCHEMA, ordered by (ts, symbol): a geometric Brownian motion a symbol, prices in whole cents.

    Volatility is 15 to 60 % a year, a first price 5 to 500, a bar's volume log-normal around some thousands.
    """
    random = np.random.default_rng(seed)
    minutes = -(-rows // symbols)
    volatility = random.uniform(0.15, 0.60, symbols) / np.sqrt(_YEAR_MINUTES)
    steps = random.standard_normal((minutes, symbols)) * volatility
    first = np.exp(random.uniform(np.log(5), np.log(500), symbols))
    close = _in_ticks(first * np.exp(np.cumsum(steps, axis=0)))
    open_ = np.vstack([_in_ticks(first), close[:-1]])
    reach = np.abs(random.standard_normal((2, minutes, symbols))) * volatility / 2
    high = _in_ticks(np.maximum(open_, close) * (1 + reach[0]))
    low = np.maximum(_in_ticks(np.minimum(open_, close) * (1 - reach[1])), _TICK)
    volume = np.round(np.exp(random.normal(7.5, 1.0, (minutes, symbols))))
    names = np.array([f"S{number:04}" for number in range(symbols)])
    columns = {
        "symbol": pa.array(np.tile(names, minutes), pa.string()),
        "interval": pa.repeat("1m", minutes * symbols),
        "ts": pa.array(np.repeat(_times(minutes), symbols)).cast(FEED_SCHEMA.field("ts").type),
        **{name: pa.array(prices.ravel()) for name, prices in {"open": open_, "high": high, "low": low, "close": close}.items()},
        "adj_close": pa.nulls(minutes * symbols, pa.float64()),
        "volume": pa.array(volume.ravel()),
        "source": pa.repeat("gbm", minutes * symbols),
    }
    return pa.table([columns[name] for name in FEED_SCHEMA.names], schema=FEED_SCHEMA).slice(0, rows)


def _in_ticks(prices: np.ndarray) -> np.ndarray:
    return np.round(np.round(prices / _TICK) * _TICK, 2)


def _times(minutes: int) -> pa.Array:
    """The first `minutes` minutes of trading, session after session (every day is one)."""
    days, within = np.divmod(np.arange(minutes), _SESSION_MINUTES)
    start = np.datetime64(_OPENS_AT.replace(tzinfo=None), "us")
    return start + days * np.timedelta64(timedelta(days=1)) + within * np.timedelta64(timedelta(minutes=1))
