"""Two writers, a compactor and a reader over the real landing code: every schedule, with one failure at any step."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
from chain_slots import BEGUN_AT, CHAIN, land, walked
from ingesting import bar_message
from memory_storage import MemoryStorage
from schedules import Done, Explorer, Program

from ingestion import lander
from ingestion.batch import Limits
from ingestion.chain import archive, compaction, put
from ingestion.chain import walk as walk_module
from ingestion.chain.archive import ArchiveHead, ArchiveRecord
from ingestion.chain.compaction import ArchiveSize, compact_chain
from ingestion.chain.put import ChainEnd, begin_chain, find_end
from ingestion.chain.slot import Chain, SlotFooter
from ingestion.chain.walk import SlotReader, walk
from ingestion.metrics import IngestorMetrics
from tickhouse.storage import ObjectMissingError, Storage, StorageUnavailableError

Offsets = tuple[int, ...]
Seen = tuple[tuple[SlotFooter, Offsets], ...]


def writer(messages: int, batch: int) -> Program:
    """Lands so many messages, up to `batch` a slot; it knows its chain's end. A landing that fails is tried again."""

    metrics = IngestorMetrics(CHAIN.topic)

    def run(storage: Storage, end: ChainEnd | None) -> ChainEnd | Done:
        if end is None:
            return find_end(storage, CHAIN, 0) or Done("the chain was never begun")
        if end.next_offset == messages:
            return Done(messages)
        own = lander.PartitionLander(storage, CHAIN, end, Limits(1000, 1_000_000, 1.0), f"by {batch}", metrics)
        for offset in range(end.next_offset, min(end.next_offset + batch, messages)):
            own.batch.append(offset, 1_000 + offset, b"AAPL", bar_message(offset), None, 0.0)
        while not own.batch.is_empty:
            with suppress(StorageUnavailableError):
                own.land()
        return own.end

    return run


def compactor(rows: int) -> Program:
    """Compacts into archives of so many rows, and again if it could not."""

    def run(storage: Storage, _knows: None) -> Done:
        while True:
            with suppress(StorageUnavailableError):
                compact_chain(storage, CHAIN, ArchiveSize(rows=rows))
                return Done()

    return run


def reader(storage: Storage, seen: Seen | None) -> Seen | Done:
    """Reads each slot as it comes to it, as a build does; then looks for more where it stopped, as the sensor does."""
    if seen is None:
        rows = SlotReader(storage)
        return tuple(read(rows, slot.footer) for slot in walk(storage, CHAIN))
    end = seen[-1][0].next_offset if seen else None
    return Done((seen, tuple(slot.footer for slot in walk(storage, CHAIN, end))))


def collector(storage: Storage, footers: tuple[SlotFooter, ...] | None) -> tuple[SlotFooter, ...] | Done:
    """Walks first and reads afterwards, as validation does."""
    if footers is None:
        return tuple(walked(storage))
    rows = SlotReader(storage)
    return Done((tuple(read(rows, footer) for footer in footers), ()))


def read(rows: SlotReader, footer: SlotFooter) -> tuple[SlotFooter, Offsets]:
    return footer, tuple(rows.read(CHAIN, footer.position, footer.next_offset)["offset"].to_pylist())


def view(storage: MemoryStorage) -> Seen:
    rows = SlotReader(storage)
    return tuple(read(rows, footer) for footer in walked(storage))


def check_whole(seen: Seen) -> None:
    at = 0
    for footer, offsets in seen:
        assert footer.position == at, "the walk has a gap, or goes back"
        assert offsets == tuple(range(footer.position, footer.next_offset)), "a slot's rows are torn, doubled or missing"
        at = footer.next_offset


def check_step(before: Seen, after: Seen) -> None:
    check_whole(after)
    assert after[: len(before)] == before, "what was walkable is so no more"


def check_end(name: str, told: Any, now: Seen) -> None:
    if name in READERS:
        seen, further = told
        assert seen == now[: len(seen)], "rows were read that are not on the walk"
        assert further == tuple(footer for footer, _rows in now[len(seen) :][: len(further)]), "a later look saw another walk"
    elif told is not None:
        assert [offset for _footer, offsets in now for offset in offsets] == list(range(told)), "not all of it has landed"


def check_final(now: Seen) -> None:
    check_whole(now)
    assert now, "nothing has landed"


READERS: dict[str, Program] = {"reader": reader, "collector": collector}


def explorer(start: MemoryStorage, writers: dict[str, Program], failures: int) -> Explorer:
    begin_chain(start, CHAIN, 0, BEGUN_AT)
    return Explorer(start, writers, READERS, view, check_step, check_end, check_final, failures)


@pytest.fixture(autouse=True)
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is encoded and decoded once for each content: thousands of runs on a few files would spend their time there."""

    def remember(module: ModuleType, name: str, key: Callable[..., Hashable]) -> None:
        function, known = getattr(module, name), {}

        def remembered(*arguments: Any) -> Any:
            if (asked := key(*arguments)) not in known:
                known[asked] = function(*arguments)
            return known[asked]

        monkeypatch.setattr(module, name, remembered)

    remember(put, "encode_slot", lambda rows, footer: (footer, rows.num_rows))
    remember(walk_module, "read_slot", lambda path: path)
    remember(walk_module, "read_bars", lambda path: path)
    remember(pq, "read_metadata", lambda path: path)
    remember(compaction, "decode_bars", lambda data: data)
    remember(compaction, "encode_bars", lambda rows: tuple(rows["offset"].to_pylist()))
    remember(compaction, "checksum_of", lambda rows, footers: (tuple(rows["offset"].to_pylist()), tuple(footers)))
    remember(compaction, "encode_footers", lambda footers: tuple(footers))
    remember(compaction, "decode_footers", lambda data: data)
    remember(archive, "decode_footers", lambda data: data)
    monkeypatch.setattr(lander, "log", structlog.wrap_logger(structlog.ReturnLogger(), processors=[]))


def test_in_every_schedule_with_one_failure_anywhere_each_message_lands_once_and_every_reader_sees_so(tmp_path: Path) -> None:
    writers = {"slow": writer(2, 1), "fast": writer(2, 2), "compactor": compactor(2)}
    found = explorer(MemoryStorage(tmp_path), writers, failures=1).explore()
    assert found.states > 10_000
    assert found.storages > 20
    assert found.ends > 1_000


def test_in_every_schedule_a_chain_that_grows_behind_its_archive_is_whole(tmp_path: Path) -> None:
    writers = {"slow": writer(3, 1), "fast": writer(3, 3), "compactor": compactor(2)}
    assert explorer(MemoryStorage(tmp_path), writers, failures=0).explore().states > 5_000


def test_in_every_schedule_two_compactions_beside_each_other_are_as_good_as_one(tmp_path: Path) -> None:
    start = MemoryStorage(tmp_path)
    begin_chain(start, CHAIN, 0, BEGUN_AT)
    for offset in range(2):
        land(start, offset, offset + 1)
    found = explorer(start, {"compactor": compactor(2), "rival": compactor(1)}, failures=0).explore()
    assert found.ends > 100


class Renaming(MemoryStorage):
    """Puts as a rename does: over what is there."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.objects[key] = data
        return True


def test_the_check_finds_a_put_that_overwrites(tmp_path: Path) -> None:
    check_finds(Renaming(tmp_path))


def test_the_check_finds_a_writer_that_does_not_look_at_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def put_and_trust(storage: Storage, chain: Chain, rows: pa.Table, footer: SlotFooter) -> SlotFooter:
        is_won = storage.put_if_absent(chain.slot_key(footer.position), put.encode_slot(rows, footer))
        return footer if is_won else put.put_slot(storage, chain, rows, footer)

    monkeypatch.setattr(lander, "put_slot", put_and_trust)
    check_finds(MemoryStorage(tmp_path), messages=3)


def test_the_check_finds_a_reader_that_does_not_look_at_the_archive_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ArchiveHead, "has_moved", lambda _head: False)
    check_finds(MemoryStorage(tmp_path))


def test_the_check_finds_a_compaction_that_deletes_before_the_record_is_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_too_early(storage: Storage, chain: Chain, record: ArchiveRecord) -> None:
        storage.delete(chain.slot_key(record.position))

    monkeypatch.setattr(compaction, "prove", delete_too_early)
    check_finds(MemoryStorage(tmp_path))


def test_the_check_finds_a_compaction_that_deletes_more_than_it_archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "slot_name", lambda position: f"{position + 1:020d}")
    check_finds(MemoryStorage(tmp_path), messages=3)


def check_finds(start: MemoryStorage, messages: int = 2) -> None:
    writers = {"slow": writer(messages, 1), "fast": writer(messages, messages), "compactor": compactor(2)}
    with pytest.raises((AssertionError, ObjectMissingError)):
        explorer(start, writers, failures=0).explore()
