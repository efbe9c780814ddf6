from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ingestion.hung_call import HungError, call_within


def test_a_call_that_returns_is_done_and_what_it_raises_is_raised() -> None:
    calls: list[int] = []
    call_within(30, lambda: calls.append(1))
    assert calls == [1]
    for error in (KeyError("a"), TimeoutError("its own")):
        with pytest.raises(type(error), match=str(error.args[0])):
            call_within(30, raising(error))


def raising(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def test_a_call_that_never_returns_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(HungError, match=r"did not return within 0\.01 s"):
        call_within(0.01, release.wait)
    release.set()
