from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from apps.dashboard.main import run_pages, server_options
from tickhouse.settings import LoggingSettings, PagesSettings, Settings, as_environment


def test_the_process_becomes_the_pages_server_with_these_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Any] = {}
    monkeypatch.setattr(os, "execve", lambda path, command, environment: started.update(locals()))
    monkeypatch.setenv("TICKHOUSE_API__PORT", "1")
    run_pages(settings)
    assert started["path"] == sys.executable
    assert started["command"][:4] == [sys.executable, "-m", "streamlit", "run"]
    assert as_environment(settings).items() <= started["environment"].items()


def test_nothing_is_watched_or_sent_anywhere(settings: Settings) -> None:
    pages = PagesSettings(host="0.0.0.0", port=9000)
    options = server_options(settings.model_copy(update={"pages": pages, "logging": LoggingSettings(level="DEBUG")}))
    assert (options["server.address"], options["server.port"], options["logger.level"]) == ("0.0.0.0", "9000", "debug")
    assert options["browser.gatherUsageStats"] == options["server.showEmailPrompt"] == "false"
    assert options["logger.hideWelcomeMessage"] == options["server.headless"] == "true"
    assert options["server.fileWatcherType"] == "none"
