from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from chain_slots import BEGUN_AT, CHAIN, bars_at, footer_of, land, read_all, walked
from memory_storage import MemoryStorage

from ingestion.chain.archive import bars_key, contents_folders, decode_bars, encode_bars, newest_record
from ingestion.chain.compaction import ArchiveSize, ArchiveUnprovenError, compact, compact_chain, prove
from ingestion.chain.put import ChainEnd, begin_chain, find_end, put_slot
from ingestion.chain.slot import SlotFooter, encode_slot, slot_name
from ingestion.chain.walk import Slot, SlotReader, read_rows
from ingestion.sources.synthetic import SyntheticFeed
from tickhouse.bar import LANDED_SCHEMA, ORIGIN_SCHEMA
from tickhouse.storage import ObjectMissingError, Storage
from tickhouse.storage.local import LocalStorage

TEN_ROWS = ArchiveSize(rows=10)
WHOLE = ArchiveSize(rows=10, is_partial=True)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """A chain from 5 with slots of 1 to 6 offsets; one of dead letters alone, one of nothing but offsets."""
    storage = LocalStorage(tmp_path)
    begin_chain(storage, CHAIN, 5, BEGUN_AT)
    for position, next_offset in ((5, 6), (6, 12), (12, 15)):
        land(storage, position, next_offset)
    put_slot(storage, CHAIN, bars_at([]), footer_of(15, 16, 0, dead_letter_key="dead_letter/x"))
    put_slot(storage, CHAIN, bars_at([]), footer_of(16, 20, 0))
    for position, next_offset in ((20, 25), (25, 31), (31, 33)):
        land(storage, position, next_offset)
    return storage


def slot_files(storage: Storage) -> list[int]:
    names = storage.list_after(CHAIN.folder)
    return [int(name.removesuffix(".parquet")) for name in names if name.endswith(".parquet")]


def test_a_walk_over_an_archive_is_the_walk_over_the_slots_it_was_made_of(storage: LocalStorage) -> None:
    before, bars = walked(storage), read_all(storage)
    made = compact_chain(storage, CHAIN, TEN_ROWS)
    assert [(one.record.position, one.record.next_offset, one.record.slots, one.record.rows) for one in made] == [
        (5, 15, 3, 10),
        (15, 31, 4, 11),
    ]
    assert slot_files(storage) == [31]
    assert walked(storage) == before
    assert read_all(storage).equals(bars)


@pytest.mark.parametrize("start", [5, 6, 15, 16, 31, 33])
def test_a_walk_may_start_at_any_slot_that_ever_was(start: int, storage: LocalStorage) -> None:
    before = walked(storage, start)
    compact_chain(storage, CHAIN, TEN_ROWS)
    assert walked(storage, start) == before


@pytest.mark.parametrize("start", [7, 0, 32, 900])
def test_a_walk_from_where_no_slot_began_yields_nothing(start: int, storage: LocalStorage) -> None:
    assert walked(storage, start) == []
    compact_chain(storage, CHAIN, TEN_ROWS)
    assert walked(storage, start) == []


@pytest.mark.parametrize("size", [TEN_ROWS, WHOLE])
@pytest.mark.parametrize("hint", [None, 5, 12, 25, 31, 33, 900, -1])
def test_the_end_is_found_from_a_hint_whose_slot_was_compacted(
    hint: int | None, size: ArchiveSize, storage: LocalStorage
) -> None:
    compact_chain(storage, CHAIN, size)
    assert find_end(storage, CHAIN, hint) == ChainEnd(33, 31)


def test_a_slot_reads_the_same_wherever_its_bars_are(storage: LocalStorage) -> None:
    slots = [Slot(CHAIN, footer) for footer in walked(storage)]
    before = [read_rows(storage, slot) for slot in slots]
    reader = SlotReader(storage)
    reader.read(CHAIN, 5, 6)
    compact_chain(storage, CHAIN, TEN_ROWS)
    for slot, rows in zip(slots, before, strict=True):
        assert read_rows(storage, slot).equals(rows)
        footer = slot.footer
        assert reader.read(CHAIN, footer.position, footer.next_offset).equals(rows)


def test_a_slot_that_never_was_is_not_read(storage: LocalStorage) -> None:
    with pytest.raises(ObjectMissingError):
        SlotReader(storage).read(CHAIN, 33, 34)


def test_too_few_slots_stay_slots_unless_asked(storage: LocalStorage) -> None:
    assert compact_chain(storage, CHAIN) == []
    assert len(slot_files(storage)) == 8
    (one,) = compact_chain(storage, CHAIN, ArchiveSize(is_partial=True))
    assert (one.record.position, one.record.next_offset, one.record.slots) == (5, 33, 8)
    assert slot_files(storage) == []
    assert compact_chain(storage, CHAIN, ArchiveSize(is_partial=True)) == []


def test_many_small_slots_are_archived_before_they_have_so_many_rows(storage: LocalStorage) -> None:
    assert [one.record.slots for one in compact_chain(storage, CHAIN, ArchiveSize(slots=3))] == [3, 3]


def test_a_chain_goes_on_behind_its_archive(storage: LocalStorage) -> None:
    compact_chain(storage, CHAIN, WHOLE)
    assert land(storage, 33, 40).writer == "me"
    assert find_end(storage, CHAIN) == ChainEnd(40, 33)
    compact_chain(storage, CHAIN, WHOLE)
    assert read_all(storage)["offset"].to_pylist() == [*range(5, 15), *range(20, 40)]


def test_compacting_again_changes_nothing(storage: LocalStorage) -> None:
    compact_chain(storage, CHAIN, TEN_ROWS)
    before = sorted(path for path in storage.root.rglob("*") if path.is_file())
    assert compact(storage, TEN_ROWS) == []
    assert sorted(path for path in storage.root.rglob("*") if path.is_file()) == before


def test_every_chain_is_compacted_and_told_of(storage: LocalStorage) -> None:
    told: list[object] = []
    assert compact(storage, TEN_ROWS, told.append) == told
    assert len(told) == 2


def test_a_sleepers_slot_is_void_and_it_learns_what_stands(storage: LocalStorage) -> None:
    """Its place was compacted while it slept: its put succeeds, and must not count."""
    before = walked(storage)
    compact_chain(storage, CHAIN, TEN_ROWS)
    assert land(storage, 12, 30, "sleeper") == before[2]
    assert slot_files(storage) == [31]
    assert walked(storage) == before


def test_an_ingestor_whose_slot_was_archived_before_the_answer_came_knows_its_own(storage: LocalStorage) -> None:
    mine = walked(storage)[2]
    compact_chain(storage, CHAIN, TEN_ROWS)
    assert put_slot(storage, CHAIN, bars_at(range(12, 15)), mine) == mine


def test_a_void_slot_that_a_killed_sleeper_left_is_never_read_and_goes(storage: LocalStorage) -> None:
    before, bars = walked(storage), read_all(storage)
    slot = Slot(CHAIN, before[2])
    compact_chain(storage, CHAIN, TEN_ROWS)
    storage.put_if_absent(CHAIN.slot_key(12), encode_slot(bars_at(range(12, 30)), footer_of(12, 30, 18, "sleeper")))
    assert walked(storage) == before
    assert walked(storage, 12) == before[2:]
    assert find_end(storage, CHAIN, 12) == ChainEnd(33, 31)
    assert read_all(storage).equals(bars)
    assert read_rows(storage, slot).num_rows == 3
    compact_chain(storage, CHAIN, TEN_ROWS)
    assert slot_files(storage) == [31]


class Vanishing(LocalStorage):
    """Compacts in the moment between the look for a slot's file and its reading."""

    compacting: Callable[[], object] | None = None

    def local_path(self, key: str) -> Path:
        path = super().local_path(key)
        if (compacting := self.compacting) is not None and key.startswith(CHAIN.folder):
            self.compacting = None
            compacting()
        return path


def test_a_file_that_goes_while_it_is_being_opened_is_read_from_the_archive(storage: LocalStorage) -> None:
    before = walked(storage)
    vanishing = Vanishing(storage.root)
    vanishing.compacting = lambda: compact_chain(storage, CHAIN, TEN_ROWS)
    assert walked(vanishing) == before
    vanishing.compacting = lambda: compact_chain(storage, CHAIN, WHOLE)
    assert SlotReader(vanishing).read(CHAIN, 31, 33).equals(bars_at([31, 32]))


def test_slots_of_another_schema_version_begin_another_archive(storage: LocalStorage) -> None:
    rows = bars_at([33])
    newer = footer_of(33, 34, 1)
    put_slot(storage, CHAIN, rows, SlotFooter(**{**newer.__dict__, "schema_version": 2}))
    assert [one.record.next_offset for one in compact_chain(storage, CHAIN, ArchiveSize(is_partial=True))] == [33, 34]


@pytest.mark.parametrize(
    ("offsets", "rows"), [([33, 34], 3), ([33, 33, 34], 3), ([34, 33, 35], 3), ([32, 33, 34], 3), ([33, 34, 36], 3)]
)
def test_slots_that_do_not_hold_what_they_say_are_left_alone(offsets: list[int], rows: int, storage: LocalStorage) -> None:
    put_slot(storage, CHAIN, bars_at(offsets), footer_of(33, 36, rows))
    with pytest.raises(ArchiveUnprovenError, match="partition=2"):
        compact_chain(storage, CHAIN, WHOLE)
    assert slot_files(storage) == [31, 33]


class Corrupting(MemoryStorage):
    """Stores other bars than it was given, in silence."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if "/archive/" in key:
            bars = decode_bars(data)
            doubled = pc.multiply(bars["volume"], 2.0)
            data = encode_bars(bars.set_column(bars.column_names.index("volume"), LANDED_SCHEMA.field("volume"), doubled))
        return super().put_if_absent(key, data)


def test_an_archive_that_does_not_read_back_as_its_slots_costs_no_slot(storage: LocalStorage, tmp_path: Path) -> None:
    objects = {str(path.relative_to(storage.root)): path.read_bytes() for path in storage.root.rglob("*") if path.is_file()}
    corrupting = Corrupting(tmp_path, objects)
    before = walked(corrupting)
    with pytest.raises(ArchiveUnprovenError, match=r"archive/0{19}5-"):
        compact_chain(corrupting, CHAIN, WHOLE)
    assert newest_record(corrupting, CHAIN) is None
    assert len(slot_files(corrupting)) == 8
    assert walked(corrupting) == before


def test_an_archive_can_be_proven_at_any_time(storage: LocalStorage) -> None:
    (archived,) = compact_chain(storage, CHAIN, ArchiveSize(is_partial=True))
    prove(storage, CHAIN, archived.record)
    path = storage.local_path(bars_key(CHAIN, archived.record))
    bars = pq.read_table(path)
    path.unlink()
    pq.write_table(bars.slice(1), path)
    with pytest.raises(ArchiveUnprovenError):
        prove(storage, CHAIN, archived.record)


def test_an_archive_is_plain_parquet_in_the_landed_types(storage: LocalStorage) -> None:
    (archived,) = compact_chain(storage, CHAIN, ArchiveSize(is_partial=True))
    path = storage.local_path(bars_key(CHAIN, archived.record))
    assert pq.read_schema(path).equals(LANDED_SCHEMA, check_metadata=True)
    types = duckdb.sql(f"select * from read_parquet('{path}', hive_partitioning=false)").dtypes
    assert [str(one) for one in types][2:4] == ["TIMESTAMP WITH TIME ZONE", "DOUBLE"]
    order = duckdb.sql(f"select symbol, ts from read_parquet('{path}', hive_partitioning=false)").fetchall()
    assert order == sorted(order)
    assert archived.bytes == path.stat().st_size


def test_what_a_killed_compaction_wrote_for_an_archive_that_another_made_goes(storage: LocalStorage) -> None:
    names = [f"{folder}/{slot_name(5)}-{'0' * 32}.parquet" for folder in contents_folders(CHAIN)]
    for name in names:
        storage.put_if_absent(name, b"half")
    (first, _second) = compact_chain(storage, CHAIN, TEN_ROWS)
    assert [storage.exists(name) for name in names] == [False, False]
    assert storage.exists(bars_key(CHAIN, first.record))
    assert read_all(storage).num_rows == 23


class _Killed(BaseException):
    """As a SIGKILL: nothing that follows is done."""


class Deadly(LocalStorage):
    """Kills whoever takes one step too many, before or after that step takes effect."""

    def __init__(self, root: Path, steps: int, *, is_after: bool) -> None:
        super().__init__(root)
        self.steps = steps
        self.is_after = is_after

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return bool(self._step(lambda: super(Deadly, self).put_if_absent(key, data)))

    def delete(self, key: str) -> None:
        self._step(lambda: super(Deadly, self).delete(key))

    def _step(self, do: Callable[[], object]) -> object:
        self.steps -= 1
        if self.steps == 0 and not self.is_after:
            raise _Killed
        done = do()
        if self.steps == 0:
            raise _Killed
        return done


@pytest.mark.parametrize("is_after", [False, True])
def test_killed_at_any_step_a_compaction_loses_nothing_and_the_next_finishes_it(is_after: bool, storage: LocalStorage) -> None:
    before, bars = walked(storage), read_all(storage)
    deaths = 0
    while True:
        root = storage.root.with_name(f"{storage.root.name}-{is_after}-{deaths}")
        shutil.copytree(storage.root, root)
        deadly = Deadly(root, deaths + 1, is_after=is_after)
        try:
            compact_chain(deadly, CHAIN, TEN_ROWS)
            break
        except _Killed:
            deaths += 1
        survivor = LocalStorage(root)
        assert walked(survivor) == before
        assert read_all(survivor).equals(bars)
        compact_chain(survivor, CHAIN, TEN_ROWS)
        assert walked(survivor) == before
        assert read_all(survivor).equals(bars)
        assert slot_files(survivor) == [31]
    assert deaths == 2 * 3 + 7


def test_an_archive_of_the_synthetic_feed_takes_less_than_eight_bytes_a_bar() -> None:
    """These take 7.3, and a million bars of 5,000 symbols 7.4."""
    rows = landed(SyntheticFeed(symbols=100, bars=1000))
    data = encode_bars(rows)
    assert len(data) / rows.num_rows < 8
    assert decode_bars(data).equals(rows)


def landed(feed: SyntheticFeed) -> pa.Table:
    """The feed's bars as they land, sent at 300,000 a second, in requests of 6,000."""
    bars = pa.concat_tables(feed.pieces())
    offsets = np.arange(bars.num_rows)
    sent = np.datetime64("2026-03-01", "us") + (offsets // 500 * 500 * 10 // 3).astype("timedelta64[us]")
    appended = np.datetime64("2026-03-01", "ms") + (offsets // 6000 * 20).astype("timedelta64[ms]")
    lineage = {
        "produced_at": pa.array(sent).cast(pa.timestamp("us", "UTC")),
        "topic": np.full(len(offsets), CHAIN.topic),
        "topic_id": np.full(len(offsets), CHAIN.topic_id),
        "partition": np.full(len(offsets), CHAIN.partition, "int32"),
        "offset": offsets,
        "kafka_timestamp": pa.array(appended).cast(pa.timestamp("ms", "UTC")),
    }
    origins = {field.name: pa.nulls(len(offsets), field.type) for field in ORIGIN_SCHEMA}
    columns = dict(zip(bars.column_names, bars.columns, strict=True)) | lineage | origins
    return pa.table(columns).select(LANDED_SCHEMA.names).cast(LANDED_SCHEMA)


@pytest.mark.parametrize("last_words", ["bars/", "slots/"])
def test_a_compaction_that_sleeps_while_another_makes_the_archive_lets_that_stand(
    last_words: str, storage: LocalStorage, tmp_path: Path
) -> None:
    """Found by the crash test: what the sleeper had written was cleared away, and it failed to prove it."""

    class Sleepy(LocalStorage):
        def put_if_absent(self, key: str, data: bytes) -> bool:
            is_stored = super().put_if_absent(key, data)
            if last_words in key:
                compact_chain(storage, CHAIN, WHOLE)
            return is_stored

    before, bars = walked(storage), read_all(storage)
    assert compact_chain(Sleepy(tmp_path), CHAIN, ArchiveSize(rows=20)) == []
    assert walked(storage) == before
    assert read_all(storage).equals(bars)
