"""What a batch is decoded to, held against what the careful parser says of each message, to the bit."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from fuzz_messages import FuzzedMessage

from ingestion.decode import Decoded, decode
from ingestion.decode.careful import NotABarError, parse_message
from ingestion.messages import Messages
from tickhouse.bar import BAR_SCHEMA

Bits = tuple[Any, ...]
Expected = Bits | tuple[str, str]


def check_decoding(batch: Sequence[FuzzedMessage]) -> Decoded:
    """Decode the batch. Fails, naming the message, where that differs from what careful parsing gives; returns what it gave."""
    decoded = decode(as_messages(batch))
    found: dict[int, Any] = dict(zip(decoded.indices.tolist(), bits_of(decoded.bars), strict=True))
    assert len(found) == len(decoded.indices), "a message is two bars"
    for one in decoded.rejected:
        assert one.index not in found, f"both a bar and rejected: {batch[one.index]}"
        found[one.index] = one.stage, one.reason
    extra: Counter[str] = Counter()
    for index, message in enumerate(batch):
        expected, names = careful_word_on(message)
        extra.update(names)
        assert index in found, f"neither a bar nor rejected: {message}"
        assert found[index] == expected, f"{found[index]} is not {expected}, of {message}"
    assert decoded.extra_fields == extra
    return decoded


def as_messages(batch: Sequence[FuzzedMessage]) -> Messages:
    messages = Messages()
    for offset, message in enumerate(batch):
        messages.append(offset, 0, message.key, message.value, message.headers)
    return messages


def careful_word_on(message: FuzzedMessage) -> tuple[Expected, list[str]]:
    """The bits of the bar it is, with its unknown fields; or the stage and the reason."""
    try:
        row, extra = parse_message(message.value, message.headers)
    except NotABarError as rejected:
        return (rejected.stage, str(rejected)), []
    return tuple(_bits(row[name]) for name in BAR_SCHEMA.names), extra


def bits_of(bars: pa.Table) -> list[Bits]:
    """Rows of which equal means equal to the bit: a float64 is its bytes, a time its UTC microseconds."""
    columns = []
    for field in BAR_SCHEMA:
        column = bars[field.name]
        if pa.types.is_timestamp(field.type):
            column = column.cast(pa.int64())
        columns.append([_bits(value) for value in column.to_pylist()])
    return list(zip(*columns, strict=True))


def _bits(value: object) -> object:
    return struct.pack("<d", value) if isinstance(value, float) else value
