"""The pages' script, which Streamlit runs anew for every visit, every choice, and every new snapshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from apps.dashboard.screen import Screen, published_at, show_freshness, show_no_data, show_unreadable
from apps.dashboard.session import Session, open_session
from apps.dashboard.theme import PAGE_STYLE, palette
from apps.dashboard.views import alerts, market, symbol
from apps.market import published_bars
from transform.snapshot.read import Snapshot, SnapshotUnavailableError

_LOGO, _ICON = (str(Path(__file__).with_name(name)) for name in ("logo.svg", "icon.svg"))


def main() -> None:
    """Show the chosen page, all of it from one pinned snapshot."""
    st.set_page_config(page_title="tickhouse", page_icon=_ICON, layout="wide", initial_sidebar_state=230)
    st.logo(_LOGO, size="large", icon_image=_ICON)
    st.html(PAGE_STYLE)
    session = open_session()
    try:
        with session.reader.pin() as snapshot:
            page = _navigate(session, snapshot)
            with st.sidebar:
                show_freshness(session, published_at(snapshot), page)
            page.run()
    except SnapshotUnavailableError as error:
        show_unreadable(session, error)


def _navigate(session: Session, snapshot: Snapshot | None) -> Page:
    def page_of(view: Callable[[Screen], None]) -> Callable[[], None]:
        def show() -> None:
            if snapshot is None or published_bars(snapshot) == 0:
                show_no_data(session.settings)
            else:
                view(Screen(session.settings, snapshot, palette(st.context.theme.type)))

        return show

    return st.navigation(
        [
            st.Page(page_of(symbol.show), title="Chart", icon=":material/candlestick_chart:", url_path="chart", default=True),
            st.Page(page_of(market.show), title="Market", icon=":material/monitoring:", url_path="market"),
            st.Page(page_of(alerts.show), title="Alerts", icon=":material/notifications:", url_path="alerts"),
        ]
    )


if __name__ == "__main__":
    main()
