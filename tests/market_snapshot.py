"""Published snapshots of real prices, for the tests of what reads them: marts made with pandas, not with the code under test."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from lake import real_bars

from tickhouse.settings import INDICATORS
from tickhouse.storage import Storage
from transform.marts import (
    DIM_INSTRUMENT,
    DIM_INSTRUMENT_SCHEMA,
    FCT_ALERT,
    FCT_ALERT_SCHEMA,
    FCT_INDICATOR,
    FCT_INDICATOR_SCHEMA,
)
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, latest_manifest
from transform.snapshot.publish import NewMart, Publication, publish

_PRICES = ("open", "high", "low", "close")


def stock_bars() -> pd.DataFrame:
    """Daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01, by symbol and time."""
    return real_bars().assign(interval="1d").sort_values(["symbol", "interval", "ts"], ignore_index=True)


def indicator_table(bars: pd.DataFrame) -> pa.Table:
    """`fct_indicator` of these bars, with or without `adj_close`; landed and closed unless they say otherwise."""
    frame = bars.sort_values(["symbol", "interval", "ts"], ignore_index=True)
    frame = frame.reindex(columns=list(dict.fromkeys([*frame.columns, "adj_close", "derived_from", "is_closed"])))
    frame["is_closed"] = frame["is_closed"].ne(False)
    scale = (frame["adj_close"] / frame["close"]).fillna(1.0)
    frame["price_basis"] = np.where(frame["adj_close"].notna(), "adjusted", "raw")
    for name in _PRICES:
        frame[f"basis_{name}"] = frame[name] * scale
    indicators = [_indicators(series) for _, series in frame.groupby(["symbol", "interval"], sort=False)]
    frame = frame.join(pd.concat(indicators)) if indicators else frame.reindex(columns=[*frame.columns, *INDICATORS])
    frame["source"] = "test"
    frame["change_seq"] = 1
    return pa.Table.from_pandas(frame, schema=FCT_INDICATOR_SCHEMA, preserve_index=False)


def alert_table(indicators: pa.Table) -> pa.Table:
    """`fct_alert` of these indicators, at the default thresholds; none of a bar that is not closed."""
    frame = indicators.to_pandas().query("is_closed")
    prior_volume = frame.groupby(["symbol", "interval"])["mean_volume_20"].shift()
    change, rsi = frame["price_change_pct"], frame["rsi_14"]
    fired = [
        _fired(frame, change.abs() > 10, "price_change", "high", change, 10.0),
        _fired(frame, (change.abs() > 5) & (change.abs() <= 10), "price_change", "medium", change, 5.0),
        _fired(frame, frame["volume"] > 2 * prior_volume, "volume_spike", "medium", 100 * frame["volume"] / prior_volume, 200.0),
        _fired(frame, rsi > 70, "rsi_overbought", "low", rsi, 70.0),
        _fired(frame, rsi < 30, "rsi_oversold", "low", rsi, 30.0),
    ]
    alerts = pd.concat(fired).sort_values(["symbol", "interval", "ts", "rule"])
    return pa.Table.from_pandas(alerts, schema=FCT_ALERT_SCHEMA, preserve_index=False)


def weekly_bars(daily: pd.DataFrame) -> pd.DataFrame:
    """The weeks of these daily bars, from Monday on, derived from them; each symbol's last is not closed."""
    week = daily["ts"].dt.normalize() - daily["ts"].dt.day_of_week * pd.Timedelta(days=1)
    prices = {"open": "first", "high": "max", "low": "min", "close": "last", "adj_close": "last", "volume": "sum"}
    weeks = daily.assign(ts=week).groupby(["symbol", "ts"], as_index=False).agg(prices)
    is_last = weeks["ts"] == weeks.groupby("symbol")["ts"].transform("max")
    return weeks.assign(interval="1w", derived_from="1d", is_closed=~is_last)


def instrument_table() -> pa.Table:
    """`dim_instrument` of Apple alone: the other stocks are described nowhere."""
    apple = {"symbol": "AAPL", "name": "Apple Inc.", "kind": "stock", "exchange": "Nasdaq", "mic": "XNAS"}
    apple |= {"country": "US", "currency": "USD", "time_zone": "America/New_York"}
    return pa.Table.from_pylist([apple], schema=DIM_INSTRUMENT_SCHEMA)


def publish_bars(storage: Storage, bars: pd.DataFrame) -> Manifest:
    """Publish a snapshot that holds these bars, their indicators, their alerts, and a description of Apple."""
    indicators = indicator_table(bars)
    tables = {FCT_INDICATOR: indicators, FCT_ALERT: alert_table(indicators), DIM_INSTRUMENT: instrument_table()}
    return publish_tables(storage, tables)


def publish_tables(storage: Storage, tables: dict[str, pa.Table]) -> Manifest:
    """Publish these marts as they are; every bar that was not derived landed once."""
    rows = tables[FCT_INDICATOR]["derived_from"].null_count if FCT_INDICATOR in tables else 0
    publication = Publication(
        parent=latest_manifest(storage),
        build_seq=1,
        build_id=None,
        watermark={"topic=bars/id=test/partition=0": rows},
        balance=Balance(landed=rows, current=rows, superseded=0, quarantined=0),
        latest_produced_at=datetime.now(UTC),
        marts={name: NewMart(cells=[(Cell(0), table)]) for name, table in tables.items()},
    )
    return publish(storage, publication)


def without_indicators(table: pa.Table) -> pa.Table:
    """The same bars as a build publishes them when analytics is off."""
    for name in INDICATORS:
        table = table.set_column(table.schema.get_field_index(name), name, pa.nulls(table.num_rows, pa.float64()))
    return table


def _fired(frame: pd.DataFrame, when: pd.Series, rule: str, severity: str, value: pd.Series, threshold: float) -> pd.DataFrame:
    rows = frame.loc[when, ["symbol", "interval", "ts"]].assign(
        rule=rule, severity=severity, value=value[when], threshold=threshold
    )
    identity = rows["symbol"] + "|" + rows["interval"] + "|" + rows["ts"].astype(str) + "|" + rule
    rows["alert_id"] = [hashlib.md5(text.encode()).hexdigest() for text in identity]
    return rows.assign(change_seq=1)


def _indicators(bars: pd.DataFrame) -> pd.DataFrame:
    """Those of one series, by the index of its bars."""
    close, volume = bars["basis_close"], bars["volume"]
    returns, change = close.pct_change(), close.diff()
    gain, loss = _smooth(change.clip(lower=0), 14, 1 / 14, 14), _smooth(-change.clip(upper=0), 14, 1 / 14, 14)
    slow = _smooth(close, 26, 2 / 27)
    macd = _smooth(close, 12, 2 / 13, 25) - slow
    signal = _smooth(macd, 9, 2 / 10, 33)
    before = close.shift()
    reach = np.fmax(bars["basis_high"], before) - np.fmin(bars["basis_low"], before)
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    values = {
        "sma_20": mean,
        "sma_50": close.rolling(50).mean(),
        "ema_12": _smooth(close, 12, 2 / 13),
        "ema_26": slow,
        "rsi_14": 100 * gain / (gain + loss),
        "macd": macd.where(signal.notna()),
        "macd_signal": signal,
        "macd_histogram": macd - signal,
        "bollinger_upper_20": mean + 2 * deviation,
        "bollinger_lower_20": mean - 2 * deviation,
        "atr_14": _smooth(reach, 14, 1 / 14, 14),
        "volatility_20": returns.rolling(20).std(),
        "price_change_pct": 100 * returns,
        "mean_volume_20": volume.rolling(20).mean(),
    }
    return pd.DataFrame(values)


def _smooth(values: pd.Series, window: int, alpha: float, first: int | None = None) -> pd.Series:
    """An exponential mean whose first value, at the bar of that index, is the mean of the window that ends there."""
    at = window - 1 if first is None else first
    seeded = values.copy()
    seeded.iloc[:at] = np.nan
    seeded.iloc[at : at + 1] = values.iloc[at - window + 1 : at + 1].mean()
    return seeded.ewm(alpha=alpha, adjust=False, ignore_na=True).mean()
