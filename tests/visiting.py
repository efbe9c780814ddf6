"""How a visitor of the pages moves between them."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def go_to(page: Page, name: str) -> None:
    """Follow the link in the sidebar once the page that is shown is complete.

    A click in the very moment in which the sidebar looks for a newer snapshot can be lost by Streamlit: it folds both
    into one request and takes the page from the later one.
    """
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    page.get_by_role("link", name=name).click()
