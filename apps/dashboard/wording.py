"""How figures are written for people: few digits, units beside them, a dash where there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

NONE = "–"
DAY_AND_LONGER = ("1d", "1w")
INTERVALS = {
    "1m": "1-minute",
    "5m": "5-minute",
    "15m": "15-minute",
    "30m": "30-minute",
    "1h": "hourly",
    "4h": "4-hour",
    "1d": "daily",
    "1w": "weekly",
}
DERIVED = "derived"
NOT_CLOSED = "so far"
RULES = {
    "price_change": "Price change",
    "volume_spike": "Volume spike",
    "rsi_overbought": "RSI overbought",
    "rsi_oversold": "RSI oversold",
    "sma_cross_up": "SMA cross up",
    "sma_cross_down": "SMA cross down",
    "macd_cross_up": "MACD cross up",
    "macd_cross_down": "MACD cross down",
    "bollinger_break_up": "Bollinger break up",
    "bollinger_break_down": "Bollinger break down",
    "high_52_week": "52-week high",
    "low_52_week": "52-week low",
}
SEVERITIES = ("high", "medium", "low")
_COMPACT = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def price(value: float | None) -> str:
    """Two decimals, more below 1; the currency is the instrument's own."""
    if value is None:
        return NONE
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.6g}"


def percent(value: float | None, *, signed: bool = True) -> str:
    """Per cent with two decimals."""
    return NONE if value is None else f"{value:{'+' if signed else ''},.2f} %"


def compact(value: float | None) -> str:
    """`4.35 M`: three digits are enough to compare volumes."""
    if value is None:
        return NONE
    for size, letter in _COMPACT:
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:,.4g}"


def measured(rule: str, value: float | None) -> str:
    """What a rule measured or its threshold, in its unit: per cent, or RSI points."""
    if value is None:
        return NONE
    if rule == "price_change":
        return f"{value:+,.1f} %"
    if rule.startswith("macd"):
        return f"{value:+.3g}"
    if rule.startswith("rsi"):
        return f"{value:.1f}"
    return f"{value:,.0f} %" if rule == "volume_spike" else f"{value:+,.2f} %"


def when(ts: datetime | None, interval: str) -> str:
    """A bar's time: its date, with the time of day in UTC for bars shorter than a day."""
    if ts is None:
        return NONE
    return f"{ts:%Y-%m-%d}" if interval in DAY_AND_LONGER else f"{ts:%Y-%m-%d %H:%M} UTC"


def bars_text(interval: str, derived_from: Collection[str | None], last: datetime | None, *, is_closed: bool) -> str:
    """`Weekly bars derived from daily ones, to 2013-02-25 so far`: `derived_from` of every bar, and how the last stands."""
    finer = sorted({INTERVALS.get(name, name) for name in derived_from if name is not None})
    bars = f"{INTERVALS.get(interval, interval).capitalize()} bars"
    if finer:
        bars += f"{', some' if None in derived_from else ''} derived from {' and '.join(finer)} ones,"
    return f"{bars} to {when(last, interval)}{'' if is_closed else f' {NOT_CLOSED}'}"


def describe(instrument: Mapping[str, Any]) -> str:
    """`Apple Inc. · Nasdaq · US · USD`: what is known of an instrument, nothing where it is not described."""
    return " · ".join(instrument[name] for name in ("name", "exchange", "country", "currency") if instrument[name])


def duration(span: timedelta) -> str:
    """`under 1 s`, `43 s`, `12 min`, `3 h`, `5 days`: the largest unit that fits."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 1:
        return "under 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
