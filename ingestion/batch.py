"""What one partition has buffered, and when it is due to be landed."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from ingestion.decode import Headers


@dataclass(frozen=True)
class Limits:
    """A batch is due at so many rows, bytes of messages, or seconds of age, whichever comes first."""

    rows: int
    bytes: int
    seconds: float


class Batch:
    """The messages from `position` up to `next_offset`, which covers offsets that hold no message too.

    Messages are columns of equal length, and equal headers in a row are one object, so that a full batch gives
    the garbage collector little to visit.
    Times are of the caller's monotonic clock, in seconds.
    """

    def __init__(self, limits: Limits, position: int) -> None:
        self.limits = limits
        self.position = position
        self.next_offset = position
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.headers: list[Headers] = []
        self.bytes = 0
        self._began_at: float | None = None
        self._last_headers: Headers = None
        self._last_headers_bytes = 0

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to land: no message, and no offset passed over."""
        return self.next_offset == self.position

    @property
    def is_full(self) -> bool:
        return len(self.offsets) >= self.limits.rows or self.bytes >= self.limits.bytes

    def due_at(self) -> float | None:
        """When the batch is old enough; None while there is nothing to land."""
        return None if self._began_at is None else self._began_at + self.limits.seconds

    def append(self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: Headers, now: float) -> None:
        """Take a message, `timestamp` in milliseconds since 1970 UTC. One below `next_offset` is covered already and dropped."""
        if offset < self.next_offset:
            return
        if headers != self._last_headers:
            self._last_headers, self._last_headers_bytes = headers, _headers_bytes(headers)
        self.offsets.append(offset)
        self.timestamps.append(timestamp)
        self.keys.append(key)
        self.values.append(value)
        self.headers.append(self._last_headers)
        self.bytes += len(key or b"") + len(value or b"") + self._last_headers_bytes
        self._cover(offset + 1, now)

    def pass_over(self, next_offset: int, now: float) -> None:
        """Know that from the last message up to `next_offset` there is none: markers, aborted or compacted records."""
        if next_offset > self.next_offset:
            self._cover(next_offset, now)

    def advance(self, position: int) -> None:
        """Let go of what lies below `position`, which has landed; keep the rest, as old as it is."""
        kept = bisect_left(self.offsets, position)
        for column in self._columns():
            del column[:kept]
        self.bytes = sum(len(part or b"") for part in (*self.keys, *self.values)) + sum(map(_headers_bytes, self.headers))
        self.position = position
        self.next_offset = max(self.next_offset, position)
        if self.is_empty:
            self._began_at = None

    def _cover(self, next_offset: int, now: float) -> None:
        self.next_offset = next_offset
        if self._began_at is None:
            self._began_at = now

    def _columns(self) -> tuple[list[Any], ...]:
        return self.offsets, self.timestamps, self.keys, self.values, self.headers


def _headers_bytes(headers: Headers) -> int:
    return sum(len(name) + len(value or b"") for name, value in headers or ())
