"""What the API asks of a published snapshot about the quality of its data: `fct_data_quality`, month by month."""

from __future__ import annotations

import json
from typing import Any

from apps.market import Selection
from transform.snapshot.read import Snapshot

_MATCHING = """
from fct_data_quality
where ($symbol::varchar is null or symbol = $symbol) and ($interval::varchar is null or interval = $interval)
    and ($start::timestamptz is null or ts >= date_trunc('month', $start::timestamptz))
    and ($until::timestamptz is null or ts < $until)
"""


def months(snapshot: Snapshot, selection: Selection, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Rows of `fct_data_quality` in the order of (symbol, interval, month): those of months that the selection touches.

    `ts` is called `month` and is its first day, `quarantined_by_rule` maps a rule's name to how many rows broke it.
    """
    asked = f"select * {_MATCHING} order by symbol, interval, ts limit $limit offset $offset"
    bound = {**_bound(selection), "limit": limit, "offset": offset}
    rows = snapshot.query(asked, bound, symbol=selection.symbol).to_pylist()
    return [{**row, "month": row["ts"].date(), "quarantined_by_rule": json.loads(row["quarantined_by_rule"])} for row in rows]


def count_months(snapshot: Snapshot, selection: Selection) -> int:
    """How many there are to page through."""
    counted = snapshot.query(f"select count(*) as rows {_MATCHING}", _bound(selection), symbol=selection.symbol)
    return int(counted["rows"][0].as_py())


def _bound(selection: Selection) -> dict[str, Any]:
    chosen = {"symbol": selection.symbol, "interval": selection.interval}
    return {**chosen, "start": selection.start, "until": selection.until}
