"""Tables of bars, alerts and instruments: which columns, in which words, with which digits."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import streamlit as st

from apps.dashboard.theme import Palette
from apps.dashboard.wording import DERIVED, NOT_CLOSED, RULES, measured, when

Height = int | Literal["auto"]


def show_bars(bars: pa.Table, palette: Palette, *, height: int, adjusted: bool) -> None:
    """Bars with their change, volume and RSI, newest first; prices on the price basis, or as traded."""
    frame = bars.to_pandas().iloc[::-1]
    if adjusted:
        frame = frame.assign(**{name: frame[f"basis_{name}"] for name in ("open", "high", "low", "close")})
    frame["when"] = [
        when(ts, interval) + ("" if is_closed else f" {NOT_CLOSED}")
        for ts, interval, is_closed in zip(frame["ts"], frame["interval"], frame["is_closed"], strict=True)
    ]
    digits = _digits(frame["close"])
    columns = {
        "when": st.column_config.TextColumn("Bar", help="Start of the bar, UTC", pinned=True),
        "open": _price_column("Open", digits),
        "high": _price_column("High", digits),
        "low": _price_column("Low", digits),
        "close": _price_column("Close", digits),
        "price_change_pct": _change_column(),
        "volume": _count_column("Volume"),
        "rsi_14": st.column_config.NumberColumn("RSI 14", format="%.1f", width="small"),
    }
    _show(_colored(frame, columns, palette), columns, height, "Recent bars, newest first")


def show_alerts(alerts: pa.Table, palette: Palette, *, height: int, of_one_symbol: bool = False) -> None:
    """Alerts in the order given, with what was measured in the rule's unit."""
    rows = alerts.to_pylist()
    frame = pd.DataFrame(
        {
            "when": [when(row["ts"], row["interval"]) for row in rows],
            "symbol": [row["symbol"] for row in rows],
            "interval": [row["interval"] for row in rows],
            "rule": [RULES.get(row["rule"], row["rule"]) for row in rows],
            "severity": [row["severity"].capitalize() for row in rows],
            "value": [measured(row["rule"], row["value"]) for row in rows],
            "threshold": [measured(row["rule"], row["threshold"]).lstrip("+") for row in rows],
        }
    )
    columns = {
        "when": st.column_config.TextColumn("Bar", help="Start of the bar that fired, UTC", pinned=True),
        "symbol": st.column_config.TextColumn("Symbol", width="small"),
        "interval": st.column_config.TextColumn("Interval", width="small"),
        "rule": st.column_config.TextColumn("Rule"),
        "severity": st.column_config.TextColumn("Severity", width="small"),
        "value": st.column_config.TextColumn("Measured", width="small", alignment="right"),
        "threshold": st.column_config.TextColumn("Threshold", width="small", alignment="right"),
    }
    if of_one_symbol:
        columns = {name: column for name, column in columns.items() if name not in ("symbol", "interval", "threshold")}
    colors = {"High": palette.down, "Medium": palette.warning, "Low": palette.muted}
    styled = frame[list(columns)].style.map(
        lambda severity: f"color: {colors.get(severity, '')}; font-weight: 600", subset=["severity"]
    )
    _show(styled, columns, height, "Alerts, newest first")


def show_instruments(instruments: pa.Table, palette: Palette, *, height: Height = "auto") -> None:
    """Every symbol and interval with its newest bar, and with what is known of the instrument, if it is of any."""
    frame = instruments.to_pandas()
    frame["when"] = [when(ts, interval) for ts, interval in zip(frame["last_ts"], frame["interval"], strict=True)]
    landed = frame["bars"] > frame["derived_bars"]
    frame["interval"] = frame["interval"].where(landed, frame["interval"] + f" {DERIVED}")
    columns = {
        "symbol": st.column_config.TextColumn("Symbol", pinned=True),
        "name": st.column_config.TextColumn("Name", width=200),
        "exchange": st.column_config.TextColumn("Exchange", width=120),
        "country": st.column_config.TextColumn("Country", width="small", help="ISO 3166"),
        "currency": st.column_config.TextColumn("Currency", width="small", help="ISO 4217"),
        "interval": st.column_config.TextColumn("Interval", width="small"),
        "when": st.column_config.TextColumn("Newest bar"),
        "close": _price_column("Close", _digits(frame["close"])),
        "price_change_pct": _change_column(),
        "volume": _count_column("Volume"),
        "bars": _count_column("Bars"),
    }
    unknown = [name for name in ("name", "exchange", "country", "currency") if frame[name].isna().all()]
    columns = {name: column for name, column in columns.items() if name not in unknown}
    _show(_colored(frame, columns, palette), columns, height, "Symbols with their newest bar, prices as traded")


def _digits(prices: pd.Series) -> int:
    """Decimals that tell prices apart: two, and more where all are small."""
    return 2 if prices.max() >= 1 else 6


def _price_column(label: str, digits: int) -> Any:
    return st.column_config.NumberColumn(label, format=f"%,.{digits}f", width="small")


def _count_column(label: str) -> Any:
    return st.column_config.NumberColumn(label, format="localized", width="small")


def _change_column() -> Any:
    return st.column_config.NumberColumn("Change %", format="%+.2f", width="small", help="Adjusted for splits and dividends")


def _colored(frame: pd.DataFrame, columns: dict[str, Any], palette: Palette) -> Any:
    def color(change: float) -> str:
        return "" if pd.isna(change) or change == 0 else f"color: {palette.up if change > 0 else palette.down}"

    shown = frame[list(columns)].round(6)  # a screen reader is told the values, not how they are formatted
    return shown.style.map(color, subset=["price_change_pct"])


def _show(table: Any, columns: dict[str, Any], height: Height, alt: str) -> None:
    st.dataframe(table, column_config=columns, hide_index=True, height=height, alt=alt, placeholder="–")
