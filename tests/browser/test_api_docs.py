"""The API's own documentation page works without the internet."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from apps.api.main import create_app
from tickhouse.settings import Settings


@pytest.fixture
def api(settings: Settings) -> Iterator[str]:
    """The API of an empty lake, served by a thread; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_the_documentation_page_lists_every_endpoint_and_asks_nobody_outside(page: Page, api: str) -> None:
    page.goto(f"{api}/docs")
    expect(page.locator(".opblock-summary")).to_have_count(8)
    expect(page.get_by_role("button", name="GET /indicators/{symbol} Indicators")).to_be_visible()
