"""The data's quality, page by page."""

from __future__ import annotations

from fastapi import APIRouter

from apps.api.dependencies import Pinned, known_intervals, snapshot_info
from apps.api.errors import errors_of
from apps.api.parameters import QualityParameters, QualityQuery
from apps.api.quality_models import DataQuality
from apps.market import Selection
from apps.quality import count_months, months
from transform.snapshot.read import Snapshot

router = APIRouter(tags=["quality"], responses=errors_of())


@router.get("/data-quality")
def data_quality(snapshot: Pinned, asked: QualityQuery) -> DataQuality:
    """What landed, by symbol, interval and month: how many bars count, why the others do not, and how many are missing."""
    return page_of(snapshot, asked)


def page_of(snapshot: Snapshot | None, asked: QualityParameters) -> DataQuality:
    """The page asked for. Raises UnknownSymbolError for a symbol of which nothing landed."""
    if snapshot is None:
        return DataQuality(snapshot=None, total=0, limit=asked.limit, offset=asked.offset, months=[])
    if asked.symbol is not None and not count_months(snapshot, Selection(symbol=asked.symbol)):
        known_intervals(snapshot, asked.symbol)
    selection = asked.selection(asked.symbol, asked.interval)
    return DataQuality(
        snapshot=snapshot_info(snapshot),
        total=count_months(snapshot, selection),
        limit=asked.limit,
        offset=asked.offset,
        months=months(snapshot, selection, asked.limit, asked.offset),
    )
