"""Alerts of every symbol, by symbol, severity and rule."""

from __future__ import annotations

import streamlit as st

from apps.dashboard.screen import Screen
from apps.dashboard.tables import show_alerts
from apps.dashboard.wording import RULES, SEVERITIES
from apps.market import Selection, alerts, instruments, totals

MAX_ALERTS = 1_000
ANY = "All symbols"


def show(screen: Screen) -> None:
    """The page."""
    st.title("Alerts")
    symbols = sorted(set(instruments(screen.snapshot)["symbol"].to_pylist()))
    with st.container(horizontal=True, gap="medium"):
        symbol = st.selectbox("Symbol", [ANY, *symbols], key="alerts_of", bind="query-params", width=180)
        severities = st.pills(
            "Severity", SEVERITIES, selection_mode="multi", format_func=str.capitalize, key="severity", bind="query-params"
        )
        rules = st.multiselect(
            "Rule", list(RULES), format_func=RULES.__getitem__, placeholder="Any rule", key="rule", bind="query-params", width=420
        )
    chosen = Selection(symbol=None if symbol == ANY else symbol)
    found = alerts(screen.snapshot, chosen, MAX_ALERTS, severities=severities or None, rules=rules or None)
    if found.num_rows == 0:
        st.info("No alert fits." if totals(screen.snapshot)["alerts"] else "No alert has fired.")
        return
    show_alerts(found, screen.palette, height=620)
    is_cut = found.num_rows == MAX_ALERTS
    st.caption(f"The newest {MAX_ALERTS:,}: choose fewer to see older ones." if is_cut else f"{found.num_rows:,} alerts.")
