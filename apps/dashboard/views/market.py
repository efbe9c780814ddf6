"""The whole market: how much there is, what moved, what fired, how fresh it is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from apps.dashboard.screen import Screen
from apps.dashboard.tables import show_alerts, show_instruments
from apps.dashboard.wording import INTERVALS, NONE, RULES, duration, percent, price
from apps.market import (
    Selection,
    alerts,
    alerts_by_rule,
    instruments,
    intervals_of,
    movers,
    newest_bars,
    totals,
    usual_interval,
)

MOVERS = 5
_SPARKLINE_BARS = 60


def show(screen: Screen) -> None:
    """The page."""
    st.title("Market")
    _show_totals(screen)
    interval = usual_interval(intervals_of(screen.snapshot)) or NONE
    st.subheader(f"Biggest moves of the last {INTERVALS.get(interval, interval)} bar", anchor=False)
    _show_movers(screen, interval)
    st.subheader("Symbols", anchor=False)
    show_instruments(instruments(screen.snapshot), screen.palette)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Newest alerts", anchor=False)
        show_alerts(alerts(screen.snapshot, Selection(), 8), screen.palette, height=318)
    with right:
        st.subheader("Alerts by rule", anchor=False)
        _show_rules(alerts_by_rule(screen.snapshot))


def _show_totals(screen: Screen) -> None:
    found, manifest = totals(screen.snapshot), screen.snapshot.manifest
    produced = manifest.latest_produced_at
    lag = NONE if produced is None else duration(manifest.published_at - produced)
    with st.container(horizontal=True, gap="small"):
        st.metric("Symbols", f"{found['symbols']:,}", border=True)
        st.metric("Bars", f"{found['bars'] - found['derived_bars']:,}", border=True, help="Landed; derived bars are not counted")
        st.metric("Alerts", f"{found['alerts']:,}", border=True)
        st.metric("Newest bar", f"{found['last_ts']:%Y-%m-%d}", border=True)
        st.metric("Publish lag", lag, border=True, help="From the newest message until this snapshot was published")
    balance = manifest.balance
    derived = f" {found['derived_bars']:,} coarser bars derived from them." if found["derived_bars"] else ""
    st.caption(
        f"{balance.landed:,} bars landed: {balance.current:,} current, {balance.superseded:,} superseded by corrections, "
        f"{balance.quarantined:,} quarantined.{derived} "
        f"[What validation found]({screen.settings.docs.validation_url})"
    )


def _show_movers(screen: Screen, interval: str) -> None:
    moved = movers(screen.snapshot, interval, MOVERS).to_pylist()
    if not moved:
        st.caption("No symbol has two bars yet.")
        return
    for column, row in zip(st.columns(MOVERS, gap="small"), moved, strict=False):
        recent = newest_bars(screen.snapshot, Selection(row["symbol"], interval), _SPARKLINE_BARS)
        closes, change = recent["basis_close"].to_pylist(), percent(row["price_change_pct"])
        column.metric(row["symbol"], price(row["close"]), change, border=True, chart_data=closes, chart_type="area")


def _show_rules(counts: pa.Table) -> None:
    rows: list[dict[str, Any]] = [
        {"Rule": RULES.get(row["rule"], row["rule"]), "Severity": row["severity"].capitalize(), "Alerts": row["alerts"]}
        for row in counts.to_pylist()
    ]
    if not rows:
        st.caption("No alert has fired.")
        return
    counted = st.column_config.NumberColumn("Alerts", format="localized", width="small")
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"Alerts": counted}, alt="Alerts by rule and severity")
