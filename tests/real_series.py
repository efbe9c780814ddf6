"""Real bars by series, in order, as the models would see them: what validation would quarantine is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bar_series import Series
from lake import real_bars

SHARED = Path(__file__).parents[2] / "shared" / "data"
shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="there is no ../shared/data beside this checkout")


def demo() -> dict[str, Series]:
    """The demo's five stocks on their adjusted prices."""
    return _by_symbol(real_bars())


def sp500_bars() -> pd.DataFrame:
    """505 stocks, daily, as the file has them: `symbol`, `date` as text, prices, volume, and all that is wrong with them."""
    return pd.read_csv(SHARED / "sp500_daily_2013-2018.csv.gz").rename(columns={"Name": "symbol"})


def sp500() -> dict[str, Series]:
    """505 stocks, daily; a bar that lacks a price is left out, although indicators use no open: it would be in quarantine."""
    return _by_symbol(sp500_bars().rename(columns={"date": "ts"}))


def hang_seng() -> dict[str, Series]:
    """The Hang Seng index, daily: years without volume, hundreds of bars without a high and low of their own."""
    frame = pd.read_csv(SHARED / "index_hsi_1986-2010.csv").rename(columns=str.lower)
    return _by_symbol(frame.rename(columns={"index": "symbol", "date": "ts", "adj close": "adj_close"}))


def coinbase() -> dict[str, Series]:
    """Four pairs, by the minute, on scattered days."""
    return _by_symbol(pd.read_parquet(SHARED / "coinbase_minute_bars.parquet"))


SOURCES: dict[str, Callable[[], dict[str, Series]]] = {
    "demo": demo,
    "sp500": sp500,
    "hang_seng": hang_seng,
    "coinbase": coinbase,
}


def _by_symbol(frame: pd.DataFrame) -> dict[str, Series]:
    bars = _valid(frame).sort_values(["symbol", "ts"])
    if "adj_close" not in bars:
        bars["adj_close"] = bars["close"]
    basis = bars["adj_close"] / bars["close"]
    columns = pd.DataFrame(
        {"high": bars["high"] * basis, "low": bars["low"] * basis, "close": bars["adj_close"], "volume": bars["volume"]}
    ).astype(float)
    ends = np.flatnonzero(bars["symbol"].to_numpy()[1:] != bars["symbol"].to_numpy()[:-1]) + 1
    parts = zip(*(np.split(columns[name].to_numpy(), ends) for name in columns), strict=True)
    return {symbol: Series(*part) for symbol, part in zip(bars["symbol"].unique(), parts, strict=True)}


def _valid(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that no rule of the validation suite would quarantine."""
    prices = frame[["open", "high", "low", "close"]]
    whole = frame.notna().all(axis=1) & (prices > 0).all(axis=1) & (frame["volume"] >= 0)
    within = prices[["open", "close"]].le(frame["high"], axis=0) & prices[["open", "close"]].ge(frame["low"], axis=0)
    return frame[whole & within.all(axis=1)]
