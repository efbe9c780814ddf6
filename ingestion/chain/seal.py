"""The seal of a Parquet file of the lake: a checksum of every byte of it, kept among its metadata."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SEAL = b"tickhouse.crc32"
_BLANK = b"00000000"
_BEFORE_VALUE = SEAL + b"\x18\x08"
"""In the file's Thrift the key is followed by the type of its value, a text, and that text's length."""


class SealBrokenError(ValueError):
    """A file is not the one that was written: a byte of it has changed."""


def write_sealed(
    rows: pa.Table, metadata: Mapping[bytes, bytes] | None = None, row_group_size: int | None = None, **options: Any
) -> bytes:
    """The rows as a sealed Parquet file, with `metadata` beside them; `options` are those of `pyarrow.parquet.ParquetWriter`.

    The seal is CRC-32 of the whole file with zeros in the seal's place. Parquet's own checksums of pages would leave out the
    pages' headers, the statistics that readers skip by, and the metadata, among it a slot's footer.
    """
    own = {key: value for key, value in (rows.schema.metadata or {}).items() if key != SEAL}  # rows that were read bring theirs
    rows = rows.replace_schema_metadata(own)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, rows.schema, **options) as file:
        file.write_table(rows, row_group_size)
        file.add_key_value_metadata({**(metadata or {}), SEAL: _BLANK})
    data = sink.getvalue()
    place = _place(data)
    assert place is not None  # it was written just now
    return b"".join((data[:place], b"%08x" % zlib.crc32(data), data[place + len(_BLANK) :]))


def read_sealed(data: bytes) -> tuple[pa.Table, bool]:
    """The file's rows with its metadata, and whether a seal vouches for them: a file that is older than seals has none.

    Raises SealBrokenError when a byte of a sealed file has changed, pa.ArrowInvalid or OSError for what cannot be read at all.
    """
    if (place := _place(data)) is not None:
        end = place + len(_BLANK)
        found = b"%08x" % zlib.crc32(data[end:], zlib.crc32(_BLANK, zlib.crc32(data[:place])))
        if data[place:end] != found:
            raise SealBrokenError("a byte of it has changed since it was written: its checksum does not hold")
    file = pq.ParquetFile(pa.BufferReader(data))
    if place is None and any(map(_is_nearly_seal, file.metadata.metadata or {})):
        raise SealBrokenError("a byte of it has changed since it was written: the name of its checksum is damaged")
    return file.read(), place is not None


def _place(data: bytes) -> int | None:
    """Where the seal stands; nothing that is written behind the metadata can look like it."""
    at = data.rfind(_BEFORE_VALUE)
    return None if at < 0 else at + len(_BEFORE_VALUE)


def _is_nearly_seal(key: bytes) -> bool:
    return len(key) == len(SEAL) and sum(one != other for one, other in zip(key, SEAL, strict=True)) <= 1
