"""Starting the pages' server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import structlog

from apps.dashboard.theme import theme_options
from tickhouse.logging import configure_logging
from tickhouse.settings import Settings, as_environment, process_environment

_log = structlog.get_logger(__name__)

SCRIPT = Path(__file__).with_name("app.py")


def run_pages(settings: Settings) -> NoReturn:
    """Become the pages' server on `settings.pages`, which serves until SIGTERM or SIGINT.

    This process is replaced, so that whoever started it ends the server itself and no child is left behind.
    The settings reach the pages through its environment. It exits with an error when the port is taken.
    """
    configure_logging(settings)
    _log.info("pages start", url=f"http://{settings.pages.host}:{settings.pages.port}")
    options = [f"--{name}={value}" for name, value in server_options(settings).items()]
    command = [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *options]
    os.execve(sys.executable, command, process_environment() | as_environment(settings))


def server_options(settings: Settings) -> dict[str, str]:
    """Streamlit's options: where to listen, nothing watched, nothing sent anywhere.

    The welcome message is off because Streamlit asks an outside service for this machine's address to print it.
    Until the pages are first visited and set logging up, it is to be quiet: its lines have a format of their own.
    """
    return {
        "server.address": settings.pages.host,
        "server.port": str(settings.pages.port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorLinks": "false",
        "runner.magicEnabled": "false",
        "logger.level": "warning" if settings.logging.level == "INFO" else settings.logging.level.lower(),
        "logger.hideWelcomeMessage": "true",
        "logger.enableRich": "false",
        **theme_options(),
    }
