"""What every page is given to show, and the frame around it: navigation, freshness, and what to say without data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st
from streamlit.navigation.page import Page
from streamlit.runtime.scriptrunner import get_script_run_ctx

from apps.dashboard.session import Session
from apps.dashboard.theme import Palette
from apps.dashboard.wording import duration
from tickhouse.settings import Settings
from transform.snapshot.read import Snapshot, SnapshotUnavailableError

Published = tuple[int, datetime]
"""A snapshot's number and when it was published: both, for the numbers of a lake made anew begin again."""


@dataclass(frozen=True)
class Screen:
    """One run of a page: everything it shows is of this snapshot."""

    settings: Settings
    snapshot: Snapshot
    palette: Palette


def published_at(snapshot: Snapshot | None) -> Published | None:
    """Which published state this is; None before the first."""
    return None if snapshot is None else (snapshot.manifest.number, snapshot.manifest.published_at)


def show_freshness(session: Session, drawn: Published | None, page: Page) -> None:
    """In the sidebar: which snapshot is shown and how old it is; looks for a newer one every `pages.refresh_seconds`.

    Only this line is drawn again while nothing is published. A newer snapshot draws the page again, in place. So does a look
    that the browser asked for before it knew of a click on another page: Streamlit empties the page for it.
    """
    drawn_as = _running_page()

    @st.fragment(run_every=session.settings.pages.refresh_seconds)
    def look_again() -> None:
        if _running_page() != drawn_as:
            st.switch_page(page)
        try:
            with session.reader.pin() as snapshot:
                newest = published_at(snapshot)
        except SnapshotUnavailableError as error:
            st.warning(str(error), icon=":material/cloud_off:")
            return
        if newest != drawn:
            st.rerun()
        _say_how_fresh(newest, datetime.now(UTC))

    look_again()


def show_no_data(settings: Settings) -> None:
    """What to do while nothing has been published."""
    st.title("No data yet")
    st.markdown("No bars have been published yet. This page fills by itself as soon as they are.")
    st.markdown(
        "- `make demo` starts everything and replays real prices.\n"
        "- With the parts running already, `tickhouse replay FILE` sends bars; the first build publishes them within seconds.\n"
        "- `tickhouse status` shows how far they have come."
    )
    st.caption(f"Looking in {settings.storage.bucket or settings.lake_path} every {settings.pages.refresh_seconds:g} s.")


def show_unreadable(session: Session, error: SnapshotUnavailableError) -> None:
    """What to do when the lake cannot be read; tries again every `pages.refresh_seconds`."""
    st.title("The lake cannot be read")
    st.error(str(error), icon=":material/cloud_off:")
    st.markdown("Check the storage settings, and that this process may read it. This page comes back by itself.")

    @st.fragment(run_every=session.settings.pages.refresh_seconds)
    def try_again() -> None:
        try:
            with session.reader.pin():
                pass
        except SnapshotUnavailableError:
            return
        st.rerun()

    try_again()


def _running_page() -> str | None:
    """Streamlit's name of the page that it believes to be shown."""
    context = get_script_run_ctx()
    return None if context is None else context.page_script_hash


def _say_how_fresh(newest: Published | None, now: datetime) -> None:
    if newest is None:
        st.caption("Waiting for the first snapshot")
        return
    number, published = newest
    st.caption(
        f"**Snapshot {number:,}**  \nPublished {duration(now - published)} ago  \n{published:%Y-%m-%d %H:%M:%S} UTC",
        help="Everything on this page is of this one published state.",
    )
