"""A file that was sealed cannot change by a bit unseen."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chain_slots import CHAIN, bars_at, footer_of
from memory_storage import MemoryStorage

from ingestion.chain import seal
from ingestion.chain.archive import decode_footers, encode_bars, encode_footers
from ingestion.chain.seal import SealBrokenError, read_sealed, write_sealed
from ingestion.chain.slot import SlotFooter, encode_slot
from tickhouse.bar import LANDED_SCHEMA
from transform.validation.quarantine import quarantine_key, write_quarantine

FOOTER = footer_of(0, 3, 3)
FILES: dict[str, Callable[[], bytes]] = {
    "slot": lambda: encode_slot(bars_at(range(3)), FOOTER),
    "empty slot": lambda: encode_slot(LANDED_SCHEMA.empty_table(), footer_of(0, 3, 0)),
    "archived bars": lambda: encode_bars(bars_at(range(3))),
    "archived footers": lambda: encode_footers([FOOTER]),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_sealed_is_read_back_and_other_readers_see_plain_parquet(name: str) -> None:
    data = FILES[name]()
    rows, is_sealed = read_sealed(data)
    assert is_sealed
    assert rows.equals(pq.read_table(pa.BufferReader(data)))


def test_no_bit_of_a_sealed_file_changes_unseen() -> None:
    """Half of so small a file is metadata, which Parquet's checksums of pages leave out."""
    data = encode_footers([FOOTER])
    for place in range(8 * len(data)):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises((SealBrokenError, pa.ArrowException, OSError)):
            read_sealed(bytes(changed))


def test_a_file_older_than_seals_says_that_nothing_vouches_for_it() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(bars_at(range(3)), sink)
    rows, is_sealed = read_sealed(sink.getvalue().to_pybytes())
    assert (rows.num_rows, is_sealed) == (3, False)


def test_rows_that_bring_another_seal_get_one_of_their_own(tmp_path: Path) -> None:
    rows, _ = read_sealed(encode_slot(bars_at(range(3)), FOOTER))
    assert SlotFooter.read(rows.schema.metadata) == FOOTER
    assert read_sealed(write_sealed(rows, compression="zstd"))[1]
    key = quarantine_key(CHAIN, 0, "rules")
    storage = MemoryStorage(tmp_path)
    write_quarantine(storage, key, rows, {row: ["high_is_not_below_low"] for row in range(3)})
    kept, is_sealed = read_sealed(storage.get(key))
    assert (kept["reasons"].to_pylist()[0], is_sealed) == (["high_is_not_below_low"], True)


def test_the_seal_is_the_checksum_of_every_other_byte() -> None:
    data = encode_footers([FOOTER])
    told = pq.read_metadata(pa.BufferReader(data)).metadata[seal.SEAL]
    assert int(told, 16) == zlib.crc32(data.replace(told, b"00000000"))
    assert decode_footers(data) == [FOOTER]
