"""Indicators of one symbol over time."""

from __future__ import annotations

from fastapi import APIRouter

from apps.api.dependencies import Pinned, known_intervals, snapshot_info
from apps.api.errors import errors_of
from apps.api.models import IndicatorPoint, Indicators
from apps.api.parameters import IndicatorParameters, IndicatorQuery, SymbolPath
from apps.market import newest_bars, usual_interval
from tickhouse.settings import INDICATORS
from transform.snapshot.read import Snapshot

router = APIRouter(tags=["indicators"], responses=errors_of())


@router.get("/indicators/{symbol:path}", response_model_exclude_unset=True)
def indicators(snapshot: Pinned, symbol: SymbolPath, asked: IndicatorQuery) -> Indicators:
    """The newest `limit` bars' indicators in the order of ts."""
    return series_of(snapshot, symbol, asked)


def series_of(snapshot: Snapshot | None, symbol: str, asked: IndicatorParameters) -> Indicators:
    """The points asked for, each with the indicators asked for. Raises UnknownSymbolError."""
    wanted = [name for name in INDICATORS if name in asked.indicators]
    if snapshot is None:
        return Indicators(snapshot=None, symbol=symbol, interval=asked.interval, price_basis=None, indicators=wanted, points=[])
    interval = asked.interval or usual_interval(known_intervals(snapshot, symbol))
    rows = newest_bars(snapshot, asked.selection(symbol, interval), asked.limit).to_pylist()
    return Indicators(
        snapshot=snapshot_info(snapshot),
        symbol=symbol,
        interval=interval,
        price_basis=rows[-1]["price_basis"] if rows else None,
        indicators=wanted,
        points=[
            IndicatorPoint.model_validate(
                {"close": row["basis_close"]} | {name: row[name] for name in ("ts", "is_closed", *wanted)}
            )
            for row in rows
        ],
    )
