"""A real browser, and pages served to it by a process of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
from market_snapshot import publish_bars, stock_bars, weekly_bars
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from served_pages import ServedPages, serving

from tickhouse.settings import Settings
from tickhouse.storage import open_storage

expect.set_options(timeout=20_000)

SIZE = {"width": 1400, "height": 1400}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """This machine's Chromium, headless; the tests that need one are skipped where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("needs Chromium. On Debian or Ubuntu, as root: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser held against the page: a request to somewhere outside, a console error, an uncaught exception."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str], serve: object) -> Iterator[Page]:
    """A page of a fresh profile, closed before its server is; an error if there are complaints at the end."""

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname != "127.0.0.1":
            complaints.append(f"asked for {request.url}")

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text}")

    context = browser.new_context(viewport=SIZE, color_scheme="light")
    context.on("request", on_request)
    context.on("console", on_console)
    context.on("weberror", lambda error: complaints.append(f"uncaught: {error.error}"))
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    shown = page.get_by_test_id("stException").all_inner_texts()
    context.close()
    assert complaints + shown == []


@pytest.fixture(scope="session")
def market_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPages]:
    """Pages of one snapshot: daily bars of five stocks over 13 years, and IBM's weeks. Nobody publishes to it."""
    folder: Path = tmp_path_factory.mktemp("pages")
    settings = Settings(data_dir=folder / "data", _env_file=None)
    daily = stock_bars()
    publish_bars(open_storage(settings), pd.concat([daily, weekly_bars(daily.query("symbol == 'IBM'"))]))
    with serving(settings, folder / "log") as pages:
        yield pages


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Settings], ServedPages]]:
    """Serve the pages of these settings until the test ends."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(serving(settings, tmp_path / "pages.log"))
