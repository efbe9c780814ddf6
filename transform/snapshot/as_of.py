"""Which snapshot was the newest at a time, of those that are kept."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime

from tickhouse.storage import Storage
from transform.snapshot.manifest import MANIFESTS, read_manifest


class UnknownSnapshotError(LookupError):
    """No such snapshot has been published, or none by that time; the message says which there are."""


class SnapshotGoneError(LookupError):
    """The snapshot was published, and retention has removed it; the message says which are kept."""


def number_as_of(storage: Storage, as_of: int | datetime) -> int:
    """The number of the snapshot that was the newest at that time (UTC); a number is that snapshot's own.

    Reads some log2(kept) manifests. Raises UnknownSnapshotError and SnapshotGoneError, and ObjectMissingError when retention
    takes a snapshot meanwhile: ask again.
    """
    numbers = [int(name.split(".")[0]) for name in storage.list_after(MANIFESTS)]
    if not numbers:
        raise UnknownSnapshotError("nothing has been published yet")
    place = _place(storage, numbers, as_of)
    if 0 <= place < len(numbers):
        return numbers[place]
    kept = _kept(storage, numbers)
    if place < 0 and numbers[0] > 0:
        wanted = f"snapshot {as_of}" if isinstance(as_of, int) else f"the snapshot of {_text(as_of)}"
        raise SnapshotGoneError(f"{wanted} is no longer kept: {kept}; `snapshot.retention_seconds` sets for how long.")
    nothing = f"there is no snapshot {as_of} yet" if isinstance(as_of, int) else f"nothing was published by {_text(as_of)}"
    raise UnknownSnapshotError(f"{nothing}: {kept}.")


def _place(storage: Storage, numbers: list[int], as_of: int | datetime) -> int:
    """Where the snapshot is among the kept ones; -1 is before the oldest, a number may be behind the newest."""
    if isinstance(as_of, int):
        return min(as_of - numbers[0], len(numbers)) if as_of >= numbers[0] else -1
    return bisect_right(numbers, as_of, key=lambda number: _published(storage, number)) - 1


def _kept(storage: Storage, numbers: list[int]) -> str:
    """For people: the oldest and the newest that are kept."""
    oldest, newest = (f"{number} of {_text(_published(storage, number))}" for number in (numbers[0], numbers[-1]))
    return f"the oldest kept is {oldest}, the newest {newest}"


def _published(storage: Storage, number: int) -> datetime:
    return read_manifest(storage, number).published_at


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
