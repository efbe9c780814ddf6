from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tickhouse.settings import ApiSettings, LoggingSettings, Settings, as_environment, process_environment

SERVE = "from apps.api.main import run_api; from tickhouse.settings import load_settings; run_api(load_settings())"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@contextmanager
def serving(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`run_api` in a process of its own, killed at the end if it is still there; its log goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=process_environment() | as_environment(settings), stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_until_healthy(settings: Settings, process: subprocess.Popen[bytes]) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx2.get(f"http://{settings.api.host}:{settings.api.port}/health", timeout=10).json()
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the API did not start")


@pytest.fixture
def served_settings(market_settings: Settings) -> Settings:
    changes = {"api": ApiSettings(port=free_port()), "logging": LoggingSettings(format="json")}
    return market_settings.model_copy(update=changes)


def test_the_api_serves_its_host_and_port_and_ends_on_sigterm(served_settings: Settings, tmp_path: Path) -> None:
    with serving(served_settings, tmp_path / "log") as process:
        assert wait_until_healthy(served_settings, process)["bars"] == 12_154
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) in (0, -signal.SIGTERM)
    for line in (tmp_path / "log").read_text().splitlines():
        assert json.loads(line)["level"] == "info"


def test_a_taken_port_ends_the_api_with_an_error(served_settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind((served_settings.api.host, served_settings.api.port))
        holder.listen()
        with serving(served_settings, tmp_path / "log") as process:
            assert process.wait(timeout=60) != 0
    assert "address already in use" in (tmp_path / "log").read_text()
