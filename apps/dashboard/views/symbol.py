"""One symbol: its chart, its figures, its newest bars and alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
import streamlit as st

from apps.dashboard.chart import draw_chart
from apps.dashboard.panes import INDICATOR_PANES, OVERLAYS, Drawing, Overlay, build_panes, has_values
from apps.dashboard.screen import Screen
from apps.dashboard.tables import show_alerts, show_bars
from apps.dashboard.wording import DAY_AND_LONGER, DERIVED, NONE, bars_text, compact, describe, percent, price
from apps.market import (
    RsiLevels,
    Selection,
    alerts,
    description,
    fifty_two_weeks,
    instruments,
    intervals_of,
    newest_bars,
    rsi_levels,
    usual_interval,
)
from tickhouse.settings import INDICATORS

MAX_BARS = 5_000
RECENT = 100
ALL = "All"
ADJUSTED, RAW = "Adjusted", "As traded"
_DAYS = {"3M": 91, "6M": 182, "1Y": 365, "5Y": 1826}
_HOURS = {"6H": 6, "1D": 24, "5D": 120, "30D": 720}
_TABLE_HEIGHT = 320
_INDICATORS = {name: overlay.label for name, overlay in OVERLAYS.items()} | INDICATOR_PANES
_SHOWN_AT_FIRST = ("sma_20", "sma_50", "ema_12", "rsi_14", "macd")


@dataclass(frozen=True)
class Choice:
    """What the visitor wants to see."""

    symbol: str
    interval: str
    span: str
    adjusted: bool

    @property
    def is_intraday(self) -> bool:
        return self.interval not in DAY_AND_LONGER


def show(screen: Screen) -> None:
    """The page."""
    heading = st.container()  # not st.empty: that would take the heading away for a moment at every new snapshot
    choice = _choose(screen)
    with heading:
        st.title(choice.symbol, anchor=False)
        if described := describe(description(screen.snapshot, choice.symbol)):
            st.caption(described)
    chosen = Selection(symbol=choice.symbol, interval=choice.interval)
    bars = newest_bars(screen.snapshot, chosen, MAX_BARS)
    fired = alerts(screen.snapshot, chosen, MAX_BARS)
    if bars.num_rows == 0:
        st.info(f"No {choice.interval} bars of {choice.symbol} in this snapshot.")
        return
    levels = rsi_levels(screen.snapshot, choice.symbol)
    _show_figures(screen, choice, levels, bars.slice(bars.num_rows - 1).to_pylist()[0])
    _show_chart(screen, choice, levels, bars, fired)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Recent bars", anchor=False)
        recent = bars.slice(max(bars.num_rows - RECENT, 0))
        show_bars(recent, screen.palette, height=_TABLE_HEIGHT, adjusted=choice.adjusted)
    with right:
        st.subheader("Alerts", anchor=False)
        show_alerts(fired.slice(0, RECENT), screen.palette, height=_TABLE_HEIGHT, of_one_symbol=True)


def _choose(screen: Screen) -> Choice:
    basis_of = {(row["symbol"], row["interval"]): row["price_basis"] for row in instruments(screen.snapshot).to_pylist()}
    with st.container(horizontal=True, gap="medium"):
        symbol = st.selectbox("Symbol", sorted({symbol for symbol, _ in basis_of}), key="symbol", bind="query-params", width=180)
        held = intervals_of(screen.snapshot, symbol)
        interval = usual_interval(held) or NONE
        if len(held) > 1:
            derived = ", ".join(each.interval for each in held if each.is_derived)
            label = f"Interval :gray[({derived} {DERIVED})]" if derived else "Interval"
            interval = _segments(label, [each.interval for each in held], interval, "interval")
        is_daily = interval in DAY_AND_LONGER
        spans = [*(_DAYS if is_daily else _HOURS), ALL]
        span = _segments("Range", spans, spans[2], "range" if is_daily else "intraday_range")
        has_adjusted = basis_of.get((symbol, interval)) == "adjusted"
        prices = _segments("Prices", [ADJUSTED, RAW], ADJUSTED, "prices") if has_adjusted else ADJUSTED
    return Choice(symbol, interval, span, adjusted=prices == ADJUSTED)


def _segments(label: str, options: list[str], default: str, key: str) -> str:
    """A choice that stays for the session and is in the address as `key`."""
    chosen = st.segmented_control(
        label, options, default=default, required=True, key=key, bind="query-params", persist_state="session"
    )
    return chosen or default


def _show_figures(screen: Screen, choice: Choice, levels: RsiLevels, last: dict[str, Any]) -> None:
    year = fifty_two_weeks(screen.snapshot, choice.symbol, choice.interval, adjusted=choice.adjusted) or {}
    close = last["basis_close" if choice.adjusted else "close"]
    volume, mean, rsi = last["volume"], last["mean_volume_20"], last["rsi_14"]
    change = None if last["price_change_pct"] is None else percent(last["price_change_pct"])
    share = f"{volume / mean:.1f} × mean" if volume is not None and mean else None
    with st.container(horizontal=True, gap="small"):
        st.metric("Close", price(close), change, border=True)
        _figure("52-week high", price(year.get("high")), _apart(close, year.get("high")))
        _figure("52-week low", price(year.get("low")), _apart(close, year.get("low")))
        _figure("Volume", compact(volume), share)
        _figure("RSI 14", NONE if rsi is None else f"{rsi:.1f}", _rsi_word(levels, rsi))


def _figure(label: str, value: str, note: str | None) -> None:
    st.metric(label, value, note, border=True, delta_color="off", delta_arrow="off")


def _apart(close: float | None, extreme: float | None) -> str | None:
    """How far the close is from the extreme."""
    if close is None or not extreme:
        return None
    return f"{100 * (close / extreme - 1):+.1f} %"


def _rsi_word(levels: RsiLevels, rsi: float | None) -> str | None:
    if rsi is None:
        return None
    if levels.overbought is not None and rsi > levels.overbought:
        return "overbought"
    return "oversold" if levels.oversold is not None and rsi < levels.oversold else "neutral"


def _show_chart(screen: Screen, choice: Choice, levels: RsiLevels, bars: pa.Table, fired: pa.Table) -> None:
    has_adjusted = "adjusted" in bars["price_basis"].to_pylist()
    on_basis = choice.adjusted or not has_adjusted
    wanted = _choose_indicators() if any(has_values(bars, name) for name in INDICATORS) else []
    overlays = [name for name in OVERLAYS if on_basis and name in wanted and has_values(bars, OVERLAYS[name].columns[0])]
    st.markdown(_legend(bars, overlays, choice, _basis_note(has_adjusted, on_basis)))
    visible = _visible(bars, choice.span)
    panes = tuple(name for name in INDICATOR_PANES if name in wanted)
    drawing = Drawing(screen.palette, levels, on_basis, tuple(overlays), panes, choice.is_intraday, visible)
    draw_chart(build_panes(bars, fired, drawing), f"{choice} {screen.palette.background}", visible)


def _choose_indicators() -> list[str]:
    """Which of `_INDICATORS` the chart shows; it stays for the session and is in the address."""
    return st.pills(
        "Indicators",
        list(_INDICATORS),
        default=list(_SHOWN_AT_FIRST),
        selection_mode="multi",
        format_func=_INDICATORS.__getitem__,
        key="indicators",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
    )


def _legend(bars: pa.Table, overlays: list[str], choice: Choice, note: str) -> str:
    """Over the chart: the overlays in their colours with their last values; below, which bars, and the price basis."""
    last = bars.slice(bars.num_rows - 1).to_pylist()[0]
    lines = [f":{each.named}[**{each.label}** {_values(each, last)}]" for each in (OVERLAYS[name] for name in overlays)]
    derived_from = set(bars["derived_from"].to_pylist())
    shown = bars_text(choice.interval, derived_from, last["ts"], is_closed=last["is_closed"])
    return "  \n".join([*filter(None, [" &ensp; ".join(lines)]), f":small[:gray[{shown}; {note}]]"])


def _values(overlay: Overlay, bar: Mapping[str, Any]) -> str:
    return " – ".join(price(bar[column]) for column in overlay.columns)


def _visible(bars: pa.Table, span: str) -> int:
    """How many of the newest bars the chosen range holds."""
    if span == ALL:
        return bars.num_rows
    length = timedelta(days=_DAYS[span]) if span in _DAYS else timedelta(hours=_HOURS[span])
    times = bars["ts"].to_pylist()
    return sum(ts > times[-1] - length for ts in times)


def _basis_note(has_adjusted: bool, on_basis: bool) -> str:
    if not has_adjusted:
        return "prices as traded: this feed has no adjusted ones."
    if on_basis:
        return "adjusted for splits and dividends, as indicators and alerts are."
    return "prices as traded: a split is a jump, and averages of adjusted prices are left out."
