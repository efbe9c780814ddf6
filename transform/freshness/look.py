"""A look at every series that lands: what the newest snapshot shows of it, held against its exchange's schedule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from tickhouse.bar import INTERVALS
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.build_lock import build_lock
from transform.freshness.schedule import Schedule, schedule_of
from transform.freshness.verdict import Landing, Series, Status, Verdict, is_behind, judge
from transform.snapshot.read import Snapshot, SnapshotReader
from transform.warehouse import open_warehouse

_NEWEST = """
select symbol, interval, max(last_ts) as newest_ts
from fct_data_quality
where last_ts is not null
group by symbol, interval
order by symbol, interval
"""

_LANDINGS = """
select bar.symbol, bar.interval, min(epoch(bar.landed_at) - epoch(bar.ts)) - any_value(asked.seconds), max(bar.landed_at)
from (select symbol, interval, ts, coalesce(origin_timestamp, kafka_timestamp) as landed_at from stg_bar) as bar
inner join asked on bar.symbol = asked.symbol and bar.interval = asked.interval
group by bar.symbol, bar.interval
"""


@dataclass(frozen=True)
class Freshness:
    """What is said of every series at a time (UTC), the gravest first; `validated_at` is the newest published slot's, UTC."""

    at: datetime
    verdicts: tuple[Verdict, ...]
    validated_at: datetime | None = None

    @property
    def stale(self) -> tuple[Verdict, ...]:
        return tuple(each for each in self.verdicts if each.status is Status.STALE)

    @property
    def counts(self) -> dict[Status, int]:
        """How many series there are of each status that there is, the gravest first."""
        counted = Counter(each.status for each in self.verdicts)
        return {status: counted[status] for status in Status if counted[status]}


def look(settings: Settings, storage: Storage, now: datetime) -> Freshness:
    """Judge every series at `now` (UTC), by the newest snapshot.

    Only of series that are behind the warehouse is asked how they landed, under `build_lock`. Raises SnapshotUnavailableError.
    """
    with SnapshotReader(storage, settings.cache_path).pin() as snapshot:
        if snapshot is None:
            return Freshness(now, ())
        found = snapshot.query(_NEWEST).to_pylist()
        schedules = Schedules(snapshot, now)
        validated_at = snapshot.query("select max(validated_at) from fct_batch_quality").column(0)[0].as_py()
    every = [Series(**row) for row in found]
    behind = [each for each in every if is_behind(each, schedules.of(each.symbol), settings.freshness, now)]
    landings = _landings(settings, behind)
    verdicts = [
        judge(each, schedules.of(each.symbol), landings.get((each.symbol, each.interval)), settings.freshness, now)
        for each in every
    ]
    order = list(Status)
    return Freshness(now, tuple(sorted(verdicts, key=lambda each: order.index(each.status))), validated_at)


class Schedules:
    """When the instruments of a snapshot trade, as of `now`; a calendar is made when its exchange is first asked for."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        rows = snapshot.query("select symbol, kind, mic from dim_instrument").to_pylist()
        self._exchanges = {row["symbol"]: (row["kind"], row["mic"]) for row in rows}
        self._today = now.date()

    def of(self, symbol: str) -> Schedule | None:
        """None where the symbol is not described, or no calendar tells of its exchange."""
        described = self._exchanges.get(symbol)
        return None if described is None else schedule_of(*described, self._today)


def _landings(settings: Settings, every: Sequence[Series]) -> dict[tuple[str, str], Landing]:
    """How they landed, as far as this machine's warehouse holds their bars."""
    if not every or not settings.warehouse_path.exists():
        return {}
    asked = pa.table(
        {
            "symbol": [each.symbol for each in every],
            "interval": [each.interval for each in every],
            "seconds": [float(INTERVALS[each.interval]) for each in every],
        }
    )
    with build_lock(settings), open_warehouse(settings) as connection:
        try:
            rows = connection.register("asked", asked).execute(_LANDINGS).fetchall()
        except duckdb.CatalogException:  # a warehouse that no build has come through yet
            return {}
    return {(symbol, interval): Landing(timedelta(seconds=promptest), at) for symbol, interval, promptest, at in rows}
