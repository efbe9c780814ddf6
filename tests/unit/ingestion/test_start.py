"""Where a partition goes on, beside others that land meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chain_slots import BEGUN_AT, CHAIN, land

from ingestion.chain.put import ChainEnd, begin_chain
from ingestion.start import IngestorError, find_start
from tickhouse.settings import Settings
from tickhouse.storage.local import LocalStorage


class Answering:
    """A consumer that answers each question for the watermarks with the next of these."""

    def __init__(self, *marks: tuple[int, int]) -> None:
        self._marks: Iterator[tuple[int, int]] = iter(marks)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return next(self._marks)


@pytest.fixture
def landed_to_20(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path)
    begin_chain(storage, CHAIN, 0, BEGUN_AT)
    land(storage, 0, 20)
    return storage


def start(settings: Settings, storage: LocalStorage, *marks: tuple[int, int]) -> ChainEnd:
    return find_start(settings, storage, Answering(*marks), CHAIN, None, threading.Event(), lambda _: None)  # type: ignore[arg-type]


def test_an_end_that_another_ingestor_moved_past_a_stale_watermark_is_no_loss(
    settings: Settings, landed_to_20: LocalStorage
) -> None:
    """Found by the crash test: an ingestor frozen between the two questions accused the broker."""
    assert start(settings, landed_to_20, (0, 10), (0, 25)) == ChainEnd(20, 0)


def test_an_end_beyond_what_the_broker_has_is_a_loss(settings: Settings, landed_to_20: LocalStorage) -> None:
    with pytest.raises(IngestorError, match=r"up to offset 20, but the partition ends at 15: the broker has lost"):
        start(settings, landed_to_20, (0, 10), (0, 15))
