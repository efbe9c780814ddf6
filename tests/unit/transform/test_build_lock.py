"""One thread at a time writes the warehouse; the others wait, and say so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tickhouse.settings import Settings
from transform.build_lock import build_lock, is_build_lock_taken


def test_who_holds_it_has_it_again_at_once_and_others_wait_for_the_first_and_say_so(settings: Settings) -> None:
    told, waits = list[str](), Event()

    def say(text: str) -> None:
        told.append(text)
        waits.set()

    def other() -> None:
        with build_lock(settings, say):
            told.append("had it")

    with ThreadPoolExecutor(1) as threads:
        with build_lock(settings, pytest.fail):
            with build_lock(settings, pytest.fail):
                pass
            assert is_build_lock_taken(settings)
            done = threads.submit(other)
            assert waits.wait(20)
            assert not done.done()
        done.result(20)
    assert not is_build_lock_taken(settings)
    assert told[1:] == ["had it"]
    assert f"waiting until it lets {settings.data_dir / 'build.lock'} go" in told[0]


def test_it_is_free_before_anybody_had_it(settings: Settings) -> None:
    assert not is_build_lock_taken(settings)


def test_it_is_free_after_what_failed(settings: Settings) -> None:
    def take() -> None:
        with build_lock(settings, pytest.fail):
            pass

    with pytest.raises(ValueError, match="of the block"), build_lock(settings):
        raise ValueError("of the block")
    with ThreadPoolExecutor(1) as threads:
        threads.submit(take).result(20)
