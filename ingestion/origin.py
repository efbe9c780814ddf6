"""The header with which a replayed dead letter carries the place it first had in Kafka."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickhouse.bar import ORIGIN_SCHEMA, with_coded_texts

ORIGIN_HEADER = "tickhouse_origin"

_WRITTEN = re.compile(rb"([\w.-]{1,249})/(\d{1,10})/(\d{1,19})/(-1|\d{1,15})")
_CODED = with_coded_texts(ORIGIN_SCHEMA)
_LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999: what every reader's dates can hold


class OriginError(ValueError):
    """A message's origin cannot be read; the message says why."""


@dataclass(frozen=True)
class Origin:
    """Where a message first stood: (topic id, partition, offset), and its Kafka timestamp there, in milliseconds since 1970 UTC.

    It decides, in place of the message's own, which of two bars is the newer: a replay never beats a later correction.
    """

    topic_id: str
    partition: int
    offset: int
    timestamp: int

    def encode(self) -> bytes:
        """The header's value."""
        return f"{self.topic_id}/{self.partition}/{self.offset}/{self.timestamp}".encode()


def read_origin(headers: Iterable[tuple[str, bytes | None]] | None) -> Origin | None:
    """The origin that a message's headers carry, None where they carry none.

    Raises OriginError for one that is said twice or that is no place in Kafka.
    """
    values = [value for name, value in headers or () if name == ORIGIN_HEADER]
    if not values:
        return None
    if len(values) > 1:
        raise OriginError(f"header {ORIGIN_HEADER} is said twice")
    written = _WRITTEN.fullmatch(values[0] or b"")
    if written is None:
        raise OriginError(f"header {ORIGIN_HEADER} is not topic-id/partition/offset/timestamp: {_shown(values[0])}")
    origin = Origin(written[1].decode(), *map(int, written.groups()[1:]))
    if origin.partition >= 2**31 or origin.offset >= 2**63 or origin.timestamp > _LAST_MILLISECOND:
        raise OriginError(f"header {ORIGIN_HEADER} is beyond any place in Kafka: {_shown(values[0])}")
    return origin


def origin_columns(origins: Mapping[int, Origin], indices: NDArray[np.int64]) -> list[pa.Array]:
    """The columns of ORIGIN_SCHEMA, texts coded, for the messages at `indices` of a batch, whose origins are given by index."""
    if not origins:
        return [pa.nulls(len(indices), column.type) for column in _CODED]
    rows = [astuple(origins[index]) if index in origins else None for index in indices.tolist()]
    return [pa.array([row and row[at] for row in rows], kind) for at, kind in enumerate(_CODED.types)]


def _shown(value: bytes | None, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
