"""One dead letter, and the place by which people name it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from ingestion.origin import Origin, OriginError, read_origin

_PLACE = re.compile(r"(?:([\w.-]+)/)?(\d{1,10})/(\d{1,19})", re.ASCII)
_MADE_AT_ONCE = 256

Header = tuple[str, bytes | None]


@dataclass(frozen=True, order=True)
class Place:
    """Where a message stands in Kafka."""

    topic_id: str
    partition: int
    offset: int

    def text(self, present: str | None) -> str:
        """PARTITION/OFFSET in the topic with the id `present`; in an earlier one of its name its id goes before."""
        short = f"{self.partition}/{self.offset}"
        return short if self.topic_id == present else f"{self.topic_id}/{short}"

    @classmethod
    def parse(cls, text: str, present: str | None) -> Self:
        """The place that `text` writes so. Raises ValueError for what is none."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is no place: PARTITION/OFFSET, such as 0/1234, as `tickhouse dlq list` and `quarantine list` show them"
            )
        return cls(found[1] or present or "", int(found[2]), int(found[3]))


@dataclass(frozen=True)
class Letter:
    """A message that was no bar, as it came. `timestamp` is Kafka's, in milliseconds since 1970 UTC."""

    topic: str
    place: Place
    timestamp: int
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None
    stage: str
    reason: str

    @property
    def origin(self) -> Origin:
        """The origin with which it is sent again when this place is its first."""
        return Origin(self.place.topic_id, self.place.partition, self.place.offset, self.timestamp)


def letters_in(table: pa.Table) -> Iterator[Letter]:
    """The letters of a table in DEAD_LETTER_SCHEMA, in its order."""
    for batch in table.to_batches(max_chunksize=_MADE_AT_ONCE):
        timestamps = batch["kafka_timestamp"].cast(pa.int64()).to_pylist()
        for said, timestamp in zip(batch.drop_columns(["kafka_timestamp"]).to_pylist(), timestamps, strict=True):
            yield Letter(
                topic=said["topic"],
                place=Place(said["topic_id"], said["partition"], said["offset"]),
                timestamp=timestamp,
                key=said["key"],
                headers=tuple((header["name"], header["value"]) for header in said["headers"]),
                value=said["value"],
                stage=said["stage"],
                reason=said["reason"],
            )


def claimed_origin(headers: list[dict[str, object]]) -> Place | None:
    """The first place that a stored letter's headers claim for it; None where they say none, or nothing that is one."""
    try:
        origin = read_origin((str(header["name"]), header["value"]) for header in headers)  # type: ignore[misc]
    except OriginError:
        return None
    return None if origin is None else Place(origin.topic_id, origin.partition, origin.offset)
