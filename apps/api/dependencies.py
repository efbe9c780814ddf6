"""What a handler is given: a snapshot, pinned until its answer is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from apps.api.errors import UnknownSymbolError
from apps.api.models import SnapshotInfo
from apps.api.parameters import AsOf
from apps.market import HeldInterval, intervals_of, published_bars
from transform.snapshot.read import Snapshot, SnapshotReader

SNAPSHOT_HEADER = "X-Tickhouse-Snapshot"
PUBLISHED_HEADER = "X-Tickhouse-Published-At"


def pin_snapshot(request: Request, response: Response, as_of: Annotated[AsOf, Query()] = None) -> Iterator[Snapshot | None]:
    """The snapshot asked for, or else the newest; None before the first.

    Its number and time go into the answer's headers, an error's too.
    """
    reader: SnapshotReader = request.app.state.reader
    with reader.pin(as_of) as snapshot:
        request.state.headers = _headers(snapshot)
        response.headers.update(request.state.headers)
        yield snapshot


Pinned = Annotated[Snapshot | None, Depends(pin_snapshot)]


def snapshot_info(snapshot: Snapshot | None) -> SnapshotInfo | None:
    """What an answer's body says of its snapshot."""
    if snapshot is None:
        return None
    return SnapshotInfo(number=snapshot.manifest.number, published_at=snapshot.manifest.published_at)


def known_intervals(snapshot: Snapshot, symbol: str) -> list[HeldInterval]:
    """The symbol's intervals, longest first. Raises UnknownSymbolError when there are bars, but none of it."""
    intervals = intervals_of(snapshot, symbol)
    if not intervals and published_bars(snapshot):
        number = snapshot.manifest.number
        raise UnknownSymbolError(f"no bars of {symbol!r} in snapshot {number}: see GET /symbols, and mind capitals")
    return intervals


def _headers(snapshot: Snapshot | None) -> dict[str, str]:
    if snapshot is None:
        return {}
    published = snapshot.manifest.published_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {SNAPSHOT_HEADER: str(snapshot.manifest.number), PUBLISHED_HEADER: published}
