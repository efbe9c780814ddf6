"""A command that is to listen on a taken port starts nothing, and says which setting to change."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from apps.cli.main import app
from tickhouse.settings import Settings, as_environment


@pytest.mark.parametrize("command", ["api", "pages", "dagster"])
def test_on_a_taken_port_nothing_is_started_and_the_setting_is_named(
    command: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        for name, value in {**as_environment(settings), f"TICKHOUSE_{command.upper()}__PORT": str(port)}.items():
            monkeypatch.setenv(name, value)
        told = CliRunner().invoke(app, [command])
    assert told.exit_code == 2
    assert f"set {command}.port (TICKHOUSE_{command.upper()}__PORT) to a free one" in told.stderr
    assert not settings.data_dir.exists() or not any(settings.data_dir.iterdir())
