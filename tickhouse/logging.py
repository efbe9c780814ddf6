"""Logging of every process: structlog over the standard library, to the terminal and a rotated file."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

from tickhouse.settings import Settings

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

_TALKATIVE = ("great_expectations", "alembic")
"""Libraries whose INFO is for their own developers: hundreds of lines a build, a dozen when Dagster's databases are made."""


def configure_logging(settings: Settings) -> None:
    """Send every record, structlog's and the standard library's, where `settings.logging` says; times are UTC.

    Records go to standard error; with `logging.file` also to that file, which is rotated by size and may be
    shared by all processes of the platform. May be called again: the last call counts.
    """
    chosen = settings.logging
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if chosen.file is not None:
        path = settings.data_dir / chosen.file.expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_SharedFileHandler(path, chosen.max_bytes, chosen.backups))
    for handler in handlers:
        handler.setFormatter(_formatter(chosen.format, colors=handler is handlers[0] and sys.stderr.isatty()))
        if chosen.level != "DEBUG":
            handler.addFilter(_is_for_everybody)  # not by the loggers' levels: the libraries set those themselves
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _SharedFileHandler):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(chosen.level)


def _is_for_everybody(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.name.startswith(_TALKATIVE)


class _SharedFileHandler(RotatingFileHandler):
    """A rotated file that several processes write: whoever finds it full rotates, the others follow to the new one."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        self._follow()
        super().emit(record)

    def doRollover(self) -> None:
        with open(f"{self.baseFilename}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._follow():
                return  # another process has rotated meanwhile
            if self.backupCount == 0:
                os.unlink(self.baseFilename)  # the standard library would let it grow
            super().doRollover()

    def _follow(self) -> bool:
        """Open the file anew when the open one is no longer the one of that name; say whether it was not."""
        if self.stream is None:
            return False
        try:
            current = os.stat(self.baseFilename)
        except FileNotFoundError:
            current = None
        if current is not None and os.path.samestat(current, os.fstat(self.stream.fileno())):
            return False
        self.stream.close()
        self.stream = self._open()
        return True


def _formatter(kind: str, *, colors: bool) -> logging.Formatter:
    last: list[Any] = [structlog.dev.ConsoleRenderer(colors=colors)]
    if kind == "json":
        last = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
