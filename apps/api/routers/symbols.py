"""Symbols: which there are, and one at a glance."""

from __future__ import annotations

from fastapi import APIRouter

from apps.api.dependencies import Pinned, known_intervals, snapshot_info
from apps.api.errors import errors_of
from apps.api.models import Instruments, SymbolSummary
from apps.api.parameters import IntervalQuery, SnapshotQuery, SymbolPath
from apps.market import Selection, alerts, description, fifty_two_weeks, instruments, newest_bars, usual_interval
from transform.snapshot.read import Snapshot

router = APIRouter(tags=["symbols"])

RECENT_ALERTS = 10


@router.get("/symbols", responses=errors_of())
def symbols(snapshot: Pinned, _: SnapshotQuery) -> Instruments:
    """Every (symbol, interval) there are bars of, with what the instrument is called and where it is traded."""
    found = [] if snapshot is None else instruments(snapshot).to_pylist()
    return Instruments(snapshot=snapshot_info(snapshot), symbols=found)


@router.get("/symbol/{symbol:path}", responses=errors_of())
def symbol(snapshot: Pinned, symbol: SymbolPath, asked: IntervalQuery) -> SymbolSummary:
    """One symbol's newest bar with its indicators, its 52 weeks, its newest alerts."""
    return summary_of(snapshot, symbol, asked.interval)


def summary_of(snapshot: Snapshot | None, symbol: str, interval: str | None) -> SymbolSummary:
    """One symbol at one interval, its usual one if None. Raises UnknownSymbolError."""
    if snapshot is None:
        return SymbolSummary(
            snapshot=None,
            symbol=symbol,
            interval=interval,
            intervals=[],
            derived_intervals=[],
            latest=None,
            fifty_two_weeks=None,
            alerts=[],
        )
    held = known_intervals(snapshot, symbol)
    shown = interval or usual_interval(held)
    chosen = Selection(symbol=symbol, interval=shown)
    return SymbolSummary(
        snapshot=snapshot_info(snapshot),
        **description(snapshot, symbol),
        interval=shown,
        intervals=[each.interval for each in held],
        derived_intervals=[each.interval for each in held if each.is_derived],
        latest=next(iter(newest_bars(snapshot, chosen, 1).to_pylist()), None),
        fifty_two_weeks=None if shown is None else fifty_two_weeks(snapshot, symbol, shown),
        alerts=alerts(snapshot, chosen, RECENT_ALERTS).to_pylist(),
    )
