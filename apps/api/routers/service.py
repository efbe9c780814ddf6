"""The service itself: what it is, whether it has data, and figures of all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from fastapi import APIRouter

from apps.api.dependencies import Pinned, snapshot_info
from apps.api.errors import errors_of
from apps.api.models import Health, Service, Stats
from apps.api.parameters import SnapshotQuery
from apps.market import alerts_by_rule, intervals_of, published_bars, totals
from transform.snapshot.read import Snapshot

router = APIRouter(tags=["service"], responses=errors_of())

_LINKS = {
    "health": "/health",
    "stats": "/stats",
    "data": "/data",
    "symbols": "/symbols",
    "data quality": "/data-quality",
    "symbol": "/symbol/{symbol}",
    "indicators": "/indicators/{symbol}",
    "docs": "/docs",
    "openapi": "/openapi.json",
}


@router.get("/")
def describe(snapshot: Pinned, _: SnapshotQuery) -> Service:
    """What this is and where to go."""
    return Service(snapshot=snapshot_info(snapshot), name="tickhouse", version=version("tickhouse"), links=_LINKS)


@router.get("/health")
def health(snapshot: Pinned, _: SnapshotQuery) -> Health:
    """Whether there is data to serve."""
    return health_of(snapshot, datetime.now(UTC))


@router.get("/stats")
def stats(snapshot: Pinned, _: SnapshotQuery) -> Stats:
    """Figures of everything published."""
    return stats_of(snapshot)


def health_of(snapshot: Snapshot | None, now: datetime) -> Health:
    """The state of what is served, as of `now` (UTC)."""
    info = snapshot_info(snapshot)
    bars = 0 if snapshot is None else published_bars(snapshot)
    age = (now - info.published_at).total_seconds() if info is not None else None
    if snapshot is None or bars == 0:
        message = "No bars have been published yet: start the pipeline with `tickhouse demo`, or wait for its first build."
        return Health(snapshot=info, status="waiting for data", message=message, snapshot_age_seconds=age, bars=0, derived_bars=0)
    derived = snapshot.manifest.derived_bars
    message = f"Serving {bars:,} bars" + (f", {derived:,} of them derived from finer ones." if derived else ".")
    return Health(snapshot=info, status="ok", message=message, snapshot_age_seconds=age, bars=bars, derived_bars=derived)


def stats_of(snapshot: Snapshot | None) -> Stats:
    """Figures of the snapshot; of nothing, zeros and nulls."""
    if snapshot is None:
        return Stats(
            snapshot=None, symbols=0, bars=0, derived_bars=0, alerts=0, first_ts=None, last_ts=None, latest_produced_at=None,
            seconds_to_publish=None, balance=None, bars_by_interval=[], alerts_by_rule=[],
        )  # fmt: skip
    manifest = snapshot.manifest
    produced = manifest.latest_produced_at
    return Stats(
        snapshot=snapshot_info(snapshot),
        **totals(snapshot),
        latest_produced_at=produced,
        seconds_to_publish=None if produced is None else (manifest.published_at - produced).total_seconds(),
        balance=manifest.balance.model_dump(),
        bars_by_interval=intervals_of(snapshot),
        alerts_by_rule=alerts_by_rule(snapshot).to_pylist(),
    )
