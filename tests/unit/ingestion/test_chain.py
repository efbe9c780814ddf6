from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.chain.put import ChainEnd, begin_chain, find_end, put_slot
from ingestion.chain.slot import Chain, Genesis, SlotFooter, encode_slot, slot_name
from ingestion.chain.walk import find_chains, read_footer, read_genesis, read_rows, walk
from tickhouse.bar import LANDED_SCHEMA, ORIGIN_SCHEMA
from tickhouse.storage import ObjectMissingError, Storage
from tickhouse.storage.local import LocalStorage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CHAIN = Chain("bars", "I_s7-CoQ", 2)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def footer(position: int, next_offset: int, writer: str = "me") -> SlotFooter:
    return SlotFooter(position, next_offset, 0, 0, None, writer, 1, None, None, ())


def rows(count: int = 0) -> pa.Table:
    table = pa.table(
        {
            "symbol": ["AAPL"] * count,
            "interval": ["1d"] * count,
            "ts": [datetime(1962, 1, 1 + number, tzinfo=UTC) for number in range(count)],
            **dict.fromkeys(["open", "high", "low", "close", "adj_close", "volume"], [1.5] * count),
            "source": ["test"] * count,
            "produced_at": [NOW] * count,
            "topic": ["bars"] * count,
            "topic_id": ["I_s7-CoQ"] * count,
            "partition": [2] * count,
            "offset": list(range(count)),
            "kafka_timestamp": [NOW] * count,
            **dict.fromkeys(ORIGIN_SCHEMA.names, [None] * count),
        }
    )
    return table.cast(LANDED_SCHEMA)


def chain_of(storage: Storage, *positions: int) -> None:
    """A chain whose slots lie between these positions."""
    begin_chain(storage, CHAIN, positions[0], NOW)
    for position, next_offset in pairwise(positions):
        assert put_slot(storage, CHAIN, rows(), footer(position, next_offset)) == footer(position, next_offset)


def test_names_are_the_designs() -> None:
    assert CHAIN.genesis_key == "landing/topic=bars/id=I_s7-CoQ/partition=2/_genesis.json"
    assert CHAIN.slot_key(1234) == "landing/topic=bars/id=I_s7-CoQ/partition=2/00000000000000001234.parquet"
    assert len(slot_name(2**63 - 1)) == 20


def test_a_topic_id_that_is_no_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="slash"):
        Chain("bars", "I/s7", 0)


def test_the_first_to_begin_a_chain_says_where(storage: LocalStorage) -> None:
    begin_chain(storage, CHAIN, 5, NOW)
    begin_chain(storage, CHAIN, 9, NOW)
    assert read_genesis(storage, CHAIN) == Genesis(5, NOW)
    assert find_end(storage, CHAIN) == ChainEnd(5, None)


def test_a_chain_that_was_never_begun_has_no_end(storage: LocalStorage) -> None:
    assert find_end(storage, CHAIN) is None
    assert find_end(storage, CHAIN, hint=7) is None
    with pytest.raises(ObjectMissingError):
        read_genesis(storage, CHAIN)


def test_slots_are_walked_in_order_from_genesis_or_from_a_position(storage: LocalStorage) -> None:
    chain_of(storage, 5, 7, 20, 21)
    assert [slot.footer.position for slot in walk(storage, CHAIN)] == [5, 7, 20]
    assert [slot.footer.position for slot in walk(storage, CHAIN, 20)] == [20]
    assert list(walk(storage, CHAIN, 21)) == []


def test_what_the_walk_does_not_reach_is_litter(storage: LocalStorage) -> None:
    chain_of(storage, 5, 7)
    for position in (0, 4, 6, 8, 100):
        storage.put_if_absent(CHAIN.slot_key(position), encode_slot(rows(), footer(position, position + 1)))
    storage.put_if_absent("landing/topic=bars/id=I_s7-CoQ/partition=2/notes.txt", b"")
    storage.put_if_absent("landing/strange/things/here/x", b"")
    storage.put_if_absent("landing/topic=bars/id=old/partition=0/without-genesis", b"")
    assert [slot.footer.position for slot in walk(storage, CHAIN)] == [5]
    assert find_end(storage, CHAIN) == ChainEnd(7, 5)
    assert find_chains(storage) == [CHAIN]


@pytest.mark.parametrize("hint", [None, 5, 7, 20, 21, 6, 1000, 0, -1])
def test_the_end_is_found_from_any_hint(hint: int | None, storage: LocalStorage) -> None:
    chain_of(storage, 5, 7, 20, 21)
    assert find_end(storage, CHAIN, hint) == ChainEnd(21, 20)


def test_a_hint_spares_the_way_from_the_genesis(storage: LocalStorage) -> None:
    chain_of(storage, 5, 7, 20, 21)
    storage.delete(CHAIN.slot_key(7))
    assert find_end(storage, CHAIN, 20) == ChainEnd(21, 20)
    assert find_end(storage, CHAIN) == ChainEnd(7, 5)


def test_a_hint_of_a_lake_that_was_lost_is_no_truth(storage: LocalStorage) -> None:
    chain_of(storage, 5)
    assert find_end(storage, CHAIN, 400) == ChainEnd(5, None)


def test_a_taken_place_keeps_its_slot_and_tells_who_stands_there(storage: LocalStorage) -> None:
    chain_of(storage, 0, 10)
    assert put_slot(storage, CHAIN, rows(), footer(10, 12, "first")) == footer(10, 12, "first")
    assert put_slot(storage, CHAIN, rows(), footer(10, 15, "second")) == footer(10, 12, "first")
    assert find_end(storage, CHAIN) == ChainEnd(12, 10)


def test_a_slot_is_read_as_it_was_put(storage: LocalStorage) -> None:
    begin_chain(storage, CHAIN, 0, NOW)
    mine = SlotFooter(0, 9, 3, 2, "dead_letter/x", "host:1:ab", 1, "1962-01-01T00:00:00+00:00", "1962-01-03", ("1962-01",))
    put_slot(storage, CHAIN, rows(3), mine)
    (slot,) = walk(storage, CHAIN)
    assert slot.footer == mine == read_footer(storage, CHAIN, 0)
    table = read_rows(storage, slot)
    assert table.equals(rows(3))
    assert table.schema.remove_metadata().equals(LANDED_SCHEMA.remove_metadata())


def test_a_slot_from_before_a_field_is_read_with_its_default() -> None:
    values = asdict(footer(0, 3))
    del values["lost"]
    assert SlotFooter.read({b"tickhouse.slot": json.dumps(values).encode()}) == footer(0, 3)


def test_a_slot_carries_the_schema_version_and_small_encodings(storage: LocalStorage) -> None:
    path = storage.root / "slot.parquet"
    path.write_bytes(encode_slot(rows(3), footer(0, 3)))
    found = pq.ParquetFile(path)
    assert found.schema_arrow.metadata[b"tickhouse.schema_version"] == b"1"
    columns = {
        column.path_in_schema: column for column in map(found.metadata.row_group(0).column, range(found.metadata.num_columns))
    }
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "DELTA_BINARY_PACKED" in columns["offset"].encodings
    assert "RLE_DICTIONARY" in columns["close"].encodings


@pytest.mark.parametrize("data", [b"", b"PAR1", encode_slot(rows(), footer(6, 7)), encode_slot(rows(), footer(5, 5))])
def test_a_file_that_is_no_slot_of_its_place_is_an_error_that_names_it(data: bytes, storage: LocalStorage) -> None:
    begin_chain(storage, CHAIN, 5, NOW)
    storage.put_if_absent(CHAIN.slot_key(5), data)
    with pytest.raises(ValueError, match=r"partition.*2/00000000000000000005\.parquet"):
        list(walk(storage, CHAIN))


def test_parquet_without_a_footer_of_ours_is_no_slot(storage: LocalStorage) -> None:
    begin_chain(storage, CHAIN, 5, NOW)
    path = storage.root / CHAIN.slot_key(5)
    pq.write_table(rows(), path)
    with pytest.raises(ValueError, match="not a slot"):
        list(walk(storage, CHAIN))


def test_a_slot_from_before_replays_reads_with_nobodys_origin(storage: LocalStorage) -> None:
    """Neither the columns of origins nor the footer's count were there."""
    begin_chain(storage, CHAIN, 0, NOW)
    values = asdict(footer(0, 3))
    del values["replayed"]
    old = rows(3).drop_columns(ORIGIN_SCHEMA.names)
    sink = pa.BufferOutputStream()
    pq.write_table(old.replace_schema_metadata({"tickhouse.slot": json.dumps(values)}), sink)
    storage.put_if_absent(CHAIN.slot_key(0), sink.getvalue().to_pybytes())
    (slot,) = walk(storage, CHAIN)
    assert slot.footer == footer(0, 3)
    assert read_rows(storage, slot).equals(rows(3))
