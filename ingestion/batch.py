"""What one partition has buffered, and when it is due to be landed."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.messages import Headers, Messages


@dataclass(frozen=True)
class Limits:
    """A batch is due at so many rows, bytes of keys and values, or seconds of age, whichever comes first."""

    rows: int
    bytes: int
    seconds: float


class Batch:
    """The messages from `position` up to `next_offset`, which covers offsets that hold no message too.

    Times are of the caller's monotonic clock, in seconds.
    """

    def __init__(self, limits: Limits, position: int, like: Batch | None = None) -> None:
        """Empty; with the room that `like` has come to have, where it is given."""
        self.limits = limits
        self.position = position
        self.next_offset = position
        self.messages: Messages = Messages(None if like is None else like.messages)
        self._began_at: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to land: no message, and no offset passed over."""
        return self.next_offset == self.position

    @property
    def is_full(self) -> bool:
        return len(self.messages) >= self.limits.rows or self.messages.size >= self.limits.bytes

    def due_at(self) -> float | None:
        """When the batch is old enough; None while there is nothing to land."""
        return None if self._began_at is None else self._began_at + self.limits.seconds

    def append(self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: Headers, now: float) -> None:
        """Take a message, `timestamp` in milliseconds since 1970 UTC. One below `next_offset` is covered already and dropped."""
        if offset >= self.next_offset:
            self.messages.append(offset, timestamp, key, value, headers)
            self.pass_over(offset + 1, now)

    def pass_over(self, next_offset: int, now: float) -> None:
        """Know that below `next_offset` there is no other message: what is not held are markers, aborted or compacted records."""
        if next_offset > self.next_offset:
            self.next_offset = next_offset
            if self._began_at is None:
                self._began_at = now

    def advance(self, position: int) -> None:
        """Let go of what lies below `position`, which has landed; keep the rest, as old as it is."""
        self.messages.drop_below(position)
        self.position = position
        self.next_offset = max(self.next_offset, position)
        if self.is_empty:
            self._began_at = None
