"""Landing in threads: tried again until it is done or given up, one batch of a partition at a time, errors told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ingesting import bar_message, wait_until

from ingestion import patience
from ingestion.batch import Limits
from ingestion.chain.put import begin_chain, find_end
from ingestion.chain.slot import Chain
from ingestion.chain.walk import walk
from ingestion.lander import PartitionLander
from ingestion.landing import Landing
from ingestion.metrics import IngestorMetrics
from tickhouse.storage import StorageRefusedError, StorageUnavailableError
from tickhouse.storage.local import LocalStorage

CHAIN = Chain("bars", "incarnation", 0)


class Failing(LocalStorage):
    """Fails so many puts of slots, and says when it did."""

    def __init__(self, root: Path, failures: int, error: Exception) -> None:
        super().__init__(root)
        self.failures, self.error, self.tried = failures, error, threading.Event()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key.endswith(".parquet") and self.failures:
            self.failures -= 1
            self.tried.set()
            raise self.error
        return super().put_if_absent(key, data)


def lander(tmp_path: Path, failures: int = 0, error: Exception | None = None) -> PartitionLander:
    return lander_on(Failing(tmp_path, failures, error or StorageUnavailableError("not now")))


def lander_on(storage: Failing) -> PartitionLander:
    begin_chain(storage, CHAIN, 0, datetime(2026, 1, 1, tzinfo=UTC))
    end = find_end(storage, CHAIN)
    assert end is not None
    return PartitionLander(storage, CHAIN, end, Limits(100, 1_000_000, 1.0), "one")


def read(mine: PartitionLander, *offsets: int) -> None:
    for offset in offsets:
        mine.batch.append(offset, 0, b"AAPL", bar_message(offset), None, 0.0)


def landed(tmp_path: Path) -> list[tuple[int, int]]:
    return [(slot.footer.position, slot.footer.next_offset) for slot in walk(LocalStorage(tmp_path), CHAIN)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_BACKOFF_SECONDS", 0.01)


def finish(landing: Landing, mine: PartitionLander) -> None:
    wait_until(lambda: mine in landing.finished(0.1), "the batch has landed")


def test_a_storage_that_does_not_answer_is_asked_again_until_it_does(tmp_path: Path) -> None:
    metrics = IngestorMetrics("bars")
    mine, landing = lander(tmp_path, failures=3), Landing(lambda: None, metrics)
    read(mine, 0, 1)
    landing.begin(mine)
    assert landing.is_busy(mine)
    assert landing.bytes > 0
    read(mine, 2)
    finish(landing, mine)
    assert (landing.is_busy(mine), landing.bytes, landed(tmp_path)) == (False, 0, [(0, 2)])
    landing.begin(mine)
    finish(landing, mine)
    assert landed(tmp_path) == [(0, 2), (2, 3)]
    assert metrics.registry.get_sample_value("tickhouse_ingestor_retries_total", {"of": "storage"}) == 3
    landing.close()


def test_what_is_given_up_is_let_go_and_the_threads_end(tmp_path: Path) -> None:
    storage = Failing(tmp_path, 10**9, StorageUnavailableError("not now"))
    mine, landing = lander_on(storage), Landing(lambda: None, IngestorMetrics("bars"))
    read(mine, 0)
    landing.begin(mine)
    assert storage.tried.wait(30)
    landing.give_up([mine])
    assert not landing.is_busy(mine)
    landing.close()
    assert landed(tmp_path) == []


def test_an_error_that_will_not_pass_is_told(tmp_path: Path) -> None:
    mine = lander(tmp_path, failures=1, error=StorageRefusedError("forbidden"))
    landing = Landing(lambda: None, IngestorMetrics("bars"))
    read(mine, 0)
    landing.begin(mine)
    with pytest.raises(StorageRefusedError, match="forbidden"):
        finish(landing, mine)
    landing.close()


def test_nothing_lands_that_the_check_refuses(tmp_path: Path) -> None:
    def refuse() -> None:
        raise RuntimeError("another topic")

    mine, landing = lander(tmp_path), Landing(refuse, IngestorMetrics("bars"))
    read(mine, 0)
    landing.begin(mine)
    with pytest.raises(RuntimeError, match="another topic"):
        finish(landing, mine)
    landing.close()
    assert landed(tmp_path) == []
