"""Bars, page by page."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter

from apps.api.dependencies import Pinned, known_intervals, snapshot_info
from apps.api.errors import errors_of
from apps.api.models import Bars
from apps.api.parameters import BarParameters, BarQuery
from apps.market import bars, count_bars
from transform.snapshot.read import Snapshot

router = APIRouter(tags=["bars"], responses=errors_of())


@router.get("/data")
def data(snapshot: Pinned, asked: BarQuery) -> Bars:
    """Bars in the order of (symbol, interval, ts); pages of one snapshot neither overlap nor leave a gap."""
    return page_of(snapshot, asked)


def page_of(snapshot: Snapshot | None, asked: BarParameters) -> Bars:
    """The page asked for. Raises UnknownSymbolError."""
    if snapshot is None:
        return Bars(snapshot=None, total=0, limit=asked.limit, offset=asked.offset, bars=[])
    if asked.symbol is not None:
        known_intervals(snapshot, asked.symbol)
    selection = replace(asked.selection(asked.symbol, asked.interval), derived=asked.derived)
    return Bars(
        snapshot=snapshot_info(snapshot),
        total=count_bars(snapshot, selection),
        limit=asked.limit,
        offset=asked.offset,
        bars=bars(snapshot, selection, asked.limit, asked.offset).to_pylist(),
    )
