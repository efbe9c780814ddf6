"""What the pages hold on to between runs of their script: the settings and the reader of snapshots."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import streamlit as st

from tickhouse.logging import configure_logging
from tickhouse.settings import Settings, load_settings
from tickhouse.storage import open_storage
from transform.snapshot.read import SnapshotReader


@dataclass(frozen=True)
class Session:
    """One for all visitors."""

    settings: Settings
    reader: SnapshotReader


@st.cache_resource(show_spinner=False)
def open_session() -> Session:
    """The settings of this process's environment, the logging they ask for, and a reader of their lake."""
    settings = load_settings()
    configure_logging(settings)
    _take_over_loggers(settings.logging.level)
    return Session(settings, SnapshotReader(open_storage(settings), settings.cache_path))


def _take_over_loggers(level: str) -> None:
    """Streamlit and its server log to handlers of their own; `settings.logging` is to hold for them too.

    The server's lines about each of a page's hundred files are for debugging.
    """
    for name, logger in logging.root.manager.loggerDict.items():
        package = name.partition(".")[0]
        if isinstance(logger, logging.Logger) and package in ("streamlit", "uvicorn"):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.WARNING if package == "uvicorn" and level == "INFO" else level)
