"""Ends what a supervisor started when the supervisor is gone, however it went: `python -m apps.cli.reaper <marker>`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

GRACE_SECONDS = 5.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.05


def marked_processes(marker: str, value: str | None = None) -> list[psutil.Process]:
    """Every process of this machine whose environment holds the variable `marker`, a mark that children inherit; with
    `value` only those where it is that.
    """
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(marker)
        except psutil.Error:  # it ended meanwhile, waits to be reaped, or is another user's
            continue
        if mark is not None and value in (None, mark):
            found.append(process)
    return found


def end_marked(marker: str, grace_seconds: float = GRACE_SECONDS) -> None:
    """End all of them, by SIGTERM first and after `grace_seconds` by SIGKILL, also those that are started meanwhile."""
    _signal(marked_processes(marker), signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while (survivors := marked_processes(marker)) and time.monotonic() < deadline + _KILL_SECONDS:
        if time.monotonic() >= deadline:
            _signal(survivors, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


if __name__ == "__main__":
    sys.stdin.buffer.read()  # returns when the supervisor, the only holder of the other end, is gone
    end_marked(sys.argv[1])
