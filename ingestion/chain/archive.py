"""A chain's archive: records that stand for consecutive slots, whose bars and footers lie in one file each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.chain.seal import write_sealed
from ingestion.chain.slot import ARCHIVE, Chain, Genesis, SlotFooter, as_landed, slot_name
from tickhouse.storage import Storage

_ROW_ORDER = [(name, "ascending") for name in ("symbol", "interval", "ts", "offset")]
_ENCODINGS = {
    **dict.fromkeys(("open", "high", "low", "close", "adj_close"), "PLAIN"),
    **dict.fromkeys(("ts", "produced_at", "offset", "kafka_timestamp"), "DELTA_BINARY_PACKED"),
    "volume": "BYTE_STREAM_SPLIT",
}
_ROW_GROUP_ROWS = 100_000
_FOOTERS = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("next_offset", pa.int64(), nullable=False),
        pa.field("footer", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class ArchiveRecord:
    """What stands for the slots from `position` to `next_offset` − 1 once it is put; it is never changed or deleted.

    `last_position` is that of its last slot. `checksum` is of the slots' bars and footers (`checksum_of`), and is in the
    names of the two files that hold them.
    """

    position: int
    next_offset: int
    last_position: int
    slots: int
    rows: int
    checksum: str

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(**json.loads(data))

    @property
    def file_name(self) -> str:
        return f"{slot_name(self.position)}-{self.checksum[:32]}.parquet"


def archive_folder(chain: Chain) -> str:
    """The folder of the chain's archive records, which nothing else lies directly in."""
    return f"{ARCHIVE}/{chain.path}"


def contents_folders(chain: Chain) -> tuple[str, str]:
    """The folders of the files that hold archived bars, which lie with the slots for engines that read folders, and footers."""
    return f"{chain.folder}/archive", f"{archive_folder(chain)}/slots"


def record_key(chain: Chain, position: int) -> str:
    return f"{archive_folder(chain)}/{slot_name(position)}.json"


def bars_key(chain: Chain, record: ArchiveRecord) -> str:
    return f"{contents_folders(chain)[0]}/{record.file_name}"


def footers_key(chain: Chain, record: ArchiveRecord) -> str:
    return f"{contents_folders(chain)[1]}/{record.file_name}"


def read_record(storage: Storage, chain: Chain, position: int) -> ArchiveRecord:
    """The record put at `position`. Raises ObjectMissingError."""
    return ArchiveRecord.decode(storage.get(record_key(chain, position)))


def newest_record(storage: Storage, chain: Chain) -> ArchiveRecord | None:
    """The record the archive ends with; None while the chain has no archive.

    A listing tells it: a record is put only where the archive ends, so none is off the walk.
    """
    names = list(storage.list_after(archive_folder(chain)))
    return read_record(storage, chain, _position(names[-1])) if names else None


def covering_record(storage: Storage, chain: Chain, position: int) -> ArchiveRecord | None:
    """The record that stands for the offset `position`; None when that is not archived."""
    starts = [start for start in map(_position, storage.list_after(archive_folder(chain))) if start <= position]
    record = read_record(storage, chain, starts[-1]) if starts else None
    return record if record is not None and position < record.next_offset else None


def archived_footers(storage: Storage, chain: Chain, record: ArchiveRecord) -> list[SlotFooter]:
    """The footers of the record's slots, in order."""
    return decode_footers(storage.local_path(footers_key(chain, record)).read_bytes())


def archived_footer(storage: Storage, chain: Chain, position: int) -> SlotFooter | None:
    """The footer of the archived slot at `position`, or None when no record stands for one there."""
    record = covering_record(storage, chain, position)
    footers = [] if record is None else archived_footers(storage, chain, record)
    return next((footer for footer in footers if footer.position == position), None)


class ArchiveHead:
    """Where a chain's archive ends, as last looked at: what lies below is read from the archive, never from slots."""

    def __init__(self, storage: Storage, chain: Chain) -> None:
        self._storage = storage
        self._chain = chain
        newest = newest_record(storage, chain)
        self.offset = Genesis.decode(storage.get(chain.genesis_key)).position if newest is None else newest.next_offset

    def has_moved(self) -> bool:
        """Whether the archive has grown since it was last looked at; `offset` is then where it ends now."""
        if not self._storage.exists(record_key(self._chain, self.offset)):
            return False
        newest = newest_record(self._storage, self._chain)
        assert newest is not None  # a record exists, and none is ever deleted
        self.offset = newest.next_offset
        return True


def encode_bars(rows: pa.Table) -> bytes:
    """The bars as the archive's sealed Parquet file: a symbol's bars beside each other, in the order of their times.

    What each column is written as, and why, is in docs/decisions/archive-layout.md.
    """
    return write_sealed(
        rows.sort_by(_ROW_ORDER),
        row_group_size=_ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=15,
        use_dictionary=[name for name in rows.column_names if name not in _ENCODINGS],
        column_encoding=_ENCODINGS,
    )


def decode_bars(data: bytes) -> pa.Table:
    """The bars of an archive's file in the order of their offsets, with the columns that it has."""
    return pq.read_table(pa.BufferReader(data)).sort_by("offset")


def read_bars(path: Path) -> pa.Table:
    """The bars of an archive's file in the order of their offsets, `as_landed`."""
    return as_landed(pq.read_table(path, partitioning=None).sort_by("offset"))


def encode_footers(footers: Sequence[SlotFooter]) -> bytes:
    """The footers of consecutive slots as the archive's second file."""
    columns = ([one.position for one in footers], [one.next_offset for one in footers], [one.encode() for one in footers])
    return write_sealed(pa.table(list(columns), schema=_FOOTERS), compression="zstd", use_dictionary=False)


def decode_footers(data: bytes) -> list[SlotFooter]:
    """What `encode_footers` made a file of."""
    return [SlotFooter.decode(text) for text in pq.read_table(pa.BufferReader(data))["footer"].to_pylist()]


def checksum_of(rows: pa.Table, footers: Sequence[SlotFooter]) -> str:
    """SHA-256 of bars in the order of their offsets, column by column, and of the footers they landed under.

    It sees every bit of every value (a NaN's too) and nothing of how a file lays them out.
    """
    digest = hashlib.sha256()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        digest.update(f"{name}:{column.type}:{len(column)};".encode())
        for part in _canonical(column):
            digest.update(part)
    for footer in footers:
        digest.update(footer.encode())
    return digest.hexdigest()


def _canonical(column: pa.ChunkedArray) -> list[bytes]:
    """Bytes that say which values are null, and what the others are."""
    nulls = np.asarray(column.is_null()).tobytes()
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        texts = json.dumps(encoded.dictionary.to_pylist()).encode()
        return [nulls, texts, np.asarray(encoded.indices.fill_null(-1)).tobytes()]
    bits = column if pa.types.is_floating(column.type) else column.cast(pa.int64())
    return [nulls, np.asarray(pc.fill_null(bits, 0)).tobytes()]


def _position(name: str) -> int:
    return int(name.removesuffix(".json"))
