"""A call into Kafka's client that may never return, waited for so long and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class HungError(RuntimeError):
    """A call did not return in its time. Its thread goes on waiting, and what it was called on is of no more use."""


def call_within(seconds: float, call: Callable[[], object]) -> None:
    """Make the call in a thread of its own, so that signals are heard meanwhile. Raises what it raises, and HungError."""
    done: Future[None] = Future()
    threading.Thread(target=_run, args=(call, done), daemon=True, name="call").start()
    try:
        done.result(seconds)
    except TimeoutError:
        if done.done():  # the call's own
            raise
        raise HungError(f"Kafka's client did not return within {seconds:g} s") from None
    finally:
        del done  # an error holds this frame: it would hold itself, and with it the client, which is to go at once


def _run(call: Callable[[], object], done: Future[None]) -> None:
    try:
        call()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(None)
    finally:
        del done
