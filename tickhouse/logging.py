"""Logging of every process: structlog over the standard library, to the terminal and a rotated file."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from typing import Any

import structlog

from tickhouse.settings import Settings

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(settings: Settings) -> None:
    """Send every record, structlog's and the standard library's, where `settings.logging` says.

    Records go to standard error; with `logging.file` also to that file, which is rotated by size.
    """
    chosen = settings.logging
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if chosen.file is not None:
        path = settings.data_dir / chosen.file
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(path, maxBytes=chosen.max_bytes, backupCount=chosen.backups, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(_formatter(chosen.format, colors=handler is handlers[0] and sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(chosen.level)


def _formatter(kind: str, *, colors: bool) -> logging.Formatter:
    if kind == "json":
        last = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=colors)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
