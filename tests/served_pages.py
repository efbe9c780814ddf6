"""The pages as a process of their own, for tests that visit them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tickhouse.settings import PagesSettings, Settings, as_environment, process_environment

REFRESH_SECONDS = 0.3
_SERVE = "from apps.dashboard.main import run_pages; from tickhouse.settings import load_settings; run_pages(load_settings())"


@dataclass(frozen=True)
class ServedPages:
    """Pages being served at `url`; what the process writes goes to `log`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def serving(settings: Settings, log: Path) -> Iterator[ServedPages]:
    """`run_pages` on a free port; ended by SIGTERM if it has not ended itself."""
    pages = PagesSettings(port=_free_port(), refresh_seconds=REFRESH_SECONDS)
    environment = process_environment() | as_environment(settings.model_copy(update={"pages": pages}))
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", _SERVE], env=environment, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{pages.port}"
        _wait_until_healthy(url, process, log)
        yield ServedPages(url, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(f"{url}/_stcore/health", timeout=10).raise_for_status()
            return
        except httpx2.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"the pages did not start: {log.read_text()}")


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
