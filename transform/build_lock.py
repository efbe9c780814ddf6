"""The lock of whoever writes the warehouse and publishes from it: one build at a time, on this machine."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from tickhouse.settings import Settings

_log = structlog.get_logger(__name__)


_holders: dict[Path, tuple[int, int]] = {}
"""Of each lock that this process holds: the process' number, which a fork of it has not, and the thread's."""


def _lock_path(settings: Settings) -> Path:
    """The file that is locked; whoever waits for it has it open, too."""
    return settings.data_dir / "build.lock"


def is_build_lock_taken(settings: Settings) -> bool:
    """Whether somebody holds `build_lock` at this moment."""
    try:
        file = _lock_path(settings).open()
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def build_lock(settings: Settings, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Held by the one thread that may write the warehouse and publish from it. Others wait here, and tell `say` of it.

    Who holds it has it again at once: what a run looks at may be what its own build keeps open.
    """
    path, here = _lock_path(settings), (os.getpid(), threading.get_ident())
    if _holders.get(path) == here:
        yield
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (say or _log.info)(f"another process has the warehouse: waiting until it lets {path} go (`fuser` names it)")
            fcntl.flock(file, fcntl.LOCK_EX)
        _holders[path] = here
        try:
            yield
        finally:
            del _holders[path]
