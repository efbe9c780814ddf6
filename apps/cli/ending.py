"""How a long-running command ends in order when it is told to: Ctrl-C, SIGTERM, or its terminal closing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the signals set, for work that looks at one."""
    stop = threading.Event()
    with _handling(stop.set):
        yield stop


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Within the block each of the signals raises KeyboardInterrupt, which ends the block and nothing more."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with _handling(interrupt), suppress(KeyboardInterrupt):
        yield


@contextmanager
def _handling(react: Callable[[], None]) -> Iterator[None]:
    before = {number: signal.signal(number, lambda _number, _frame: react()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
