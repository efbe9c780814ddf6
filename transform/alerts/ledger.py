"""The ledger of alerts: what became of each, told by the difference of what was published and what is published next.

`fct_alert` says which alerts hold; `alert_event` says what people are told. Its entries are appended with the snapshot that they
come of, all at once, and are never changed: a rebuild, a full refresh or other rules add entries, and take none away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tickhouse.bar import INTERVALS
from tickhouse.settings import DeliverySettings
from tickhouse.storage import Storage
from transform.alerts.event import AlertEvent
from transform.marts import ALERT_EVENT, ALERT_EVENT_SCHEMA, FCT_ALERT, FCT_ALERT_SCHEMA
from transform.snapshot.layout import CELL_ROWS, Cell
from transform.snapshot.manifest import Manifest, PublishedFile
from transform.snapshot.publish import NewMart
from transform.snapshot.read import Snapshot

APPENDED_ROWS = 20_000
"""The newest file is written again with the entries that follow until it has so many."""

_DIFFERENCE = """
with held as (

    select * from fct_alert where change_seq > $since

),

difference as (

    select held.*, case when old.alert_id is null then 'raised' else 'changed' end as event
    from held
    left join old using (ts, symbol, interval, rule)
    where
        old.alert_id is null
        or old.severity <> held.severity
        or old.threshold <> held.threshold
        -- All that follows a corrected bar is computed anew and moves in its last digits: nobody was told those.
        or abs(held.value - old.value) > 1e-6 * abs(old.value)

    union all by name

    select old.*, 'withdrawn' as event
    from old
    where not exists (
        select 1 from fct_alert as held
        where
            held.ts >= (select min(ts) from old) -- what is older is passed over
            and held.ts = old.ts and held.symbol = old.symbol and held.interval = old.interval and held.rule = old.rule
    )

),

before as (

    select alert_id, max(revision) as revision, bool_or(is_told) as is_told
    from ledger
    where
        ts between (select min(ts) from difference) and (select max(ts) from difference)
        and alert_id in (select alert_id from difference)
    group by alert_id

)

select
    $last_seq + row_number() over (order by ts, symbol, interval, rule) as event_seq,
    alert_id,
    coalesce(before.revision, 0) + 1 as revision,
    event,
    symbol,
    interval,
    ts,
    rule,
    severity,
    value,
    threshold,
    $is_all_told or ts + to_seconds(length.seconds) > $told_from or coalesce(before.is_told, false) as is_told,
    $snapshot as snapshot,
    $recorded_at as recorded_at
from difference
left join before using (alert_id)
left join length using (interval)
order by event_seq
"""


@dataclass(frozen=True)
class AlertChange:
    """What is published of alerts next: on top of `parent`, with files of `fct_alert` that are `dropped` from it.

    Rows of `fct_alert` above `since` are new or were made anew; None is all.
    """

    parent: Manifest | None
    dropped: Sequence[PublishedFile]
    since: int | None


def new_entries(
    connection: duckdb.DuckDBPyConnection, storage: Storage, change: AlertChange, delivery: DeliverySettings
) -> NewMart | None:
    """The ledger with an entry for each alert that was raised, changed or withdrawn; None when none was.

    `connection` is read while the entries are written, so it is to be one of their own. A snapshot of a version without a ledger
    begins one: everything that holds is raised. An entry is told (`is_told`) when its bar ended less than
    `delivery.max_age_hours` ago, or an earlier entry of the alert was told.
    """
    connection.execute("set TimeZone = 'UTC'")
    before = None if change.parent is None else change.parent.marts.get(ALERT_EVENT)
    files = () if before is None else before.files
    old = _relation(connection, storage, change.dropped if before is not None else (), FCT_ALERT_SCHEMA)
    ledger = _relation(connection, storage, files, ALERT_EVENT_SCHEMA)
    length = connection.from_arrow(pa.table({"interval": list(INTERVALS), "seconds": list(INTERVALS.values())}))
    now = datetime.now(UTC)
    bound = {
        "since": (0 if before is None else change.since) or 0,
        "last_seq": 0 if before is None else before.rows,
        "is_all_told": delivery.history,
        "told_from": now - timedelta(hours=delivery.max_age_hours),
        "snapshot": 0 if change.parent is None else change.parent.number + 1,
        "recorded_at": now,
    }
    found = _difference(connection, old, ledger, length, bound)
    batches = (pa.Table.from_batches([batch]).cast(ALERT_EVENT_SCHEMA) for batch in found)
    first = next(batches, None)
    if first is None or not first.num_rows:
        return NewMart(cells=(), kept=files) if before is None else None
    kept, rewritten = (files[:-1], files[-1:]) if files and files[-1].rows < APPENDED_ROWS else (files, ())
    rows = chain((_read(storage, file) for file in rewritten), (first,), batches)
    return NewMart(cells=_cells(rows, len(kept)), kept=kept)


def is_begun(parent: Manifest | None) -> bool:
    """Whether there is a ledger already."""
    return parent is not None and ALERT_EVENT in parent.marts


def dropped_files(parent: Manifest | None, mart: NewMart) -> list[PublishedFile]:
    """The files of published alerts that are not kept: what has changed is in them."""
    published = None if parent is None else parent.marts.get(FCT_ALERT)
    return [] if published is None else [file for file in published.files if file not in mart.kept]


class SnapshotLedger:
    """The ledger as a snapshot holds it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def newest_seq(self) -> int:
        """The number of the newest entry, 0 when there is none."""
        mart = self._snapshot.manifest.marts.get(ALERT_EVENT)
        return 0 if mart is None else mart.rows

    def first_seq_since(self, moment: datetime) -> int | None:
        """The number of the first entry recorded then or later, None when there is none."""
        sql = "select min(event_seq) as first from alert_event where recorded_at >= $since"
        return self._snapshot.query(sql, {"since": moment})["first"][0].as_py()

    def after(self, event_seq: int, limit: int) -> list[AlertEvent]:
        """At most so many entries above `event_seq`, in order."""
        return self._entries("event_seq > $after", event_seq, limit)

    def told_after(self, event_seq: int, limit: int) -> list[AlertEvent]:
        """At most so many entries that are for people, above `event_seq`, in order."""
        return self._entries("event_seq > $after and is_told", event_seq, limit)

    def _entries(self, where: str, after: int, limit: int) -> list[AlertEvent]:
        names = ", ".join(field.name for field in fields(AlertEvent))
        sql = f"select {names} from alert_event where {where} order by event_seq limit $limit"
        return [AlertEvent(**row) for row in self._snapshot.query(sql, {"after": after, "limit": limit}).to_pylist()]


def _difference(
    connection: duckdb.DuckDBPyConnection,
    old: duckdb.DuckDBPyRelation,
    ledger: duckdb.DuckDBPyRelation,
    length: duckdb.DuckDBPyRelation,
    bound: dict[str, Any],
) -> pa.RecordBatchReader:
    """The new entries, in pieces. DuckDB finds the relations by the names that they have here."""
    return connection.sql(_DIFFERENCE, params=bound).to_arrow_reader(CELL_ROWS)


def _relation(
    connection: duckdb.DuckDBPyConnection, storage: Storage, files: Sequence[PublishedFile], schema: pa.Schema
) -> duckdb.DuckDBPyRelation:
    if not files:
        return connection.from_arrow(schema.empty_table())
    return connection.read_parquet([str(storage.local_path(file.key)) for file in files])


def _read(storage: Storage, file: PublishedFile) -> pa.Table:
    return pq.read_table(storage.local_path(file.key), partitioning=None).cast(ALERT_EVENT_SCHEMA)


def _cells(tables: Iterator[pa.Table], first_era: int) -> Iterator[tuple[Cell, pa.Table]]:
    """Each file is an era of its own: entries are in the order in which they were made."""
    rest: list[pa.Table] = []
    era = first_era
    for table in tables:
        rest.append(table)
        if sum(each.num_rows for each in rest) >= CELL_ROWS:
            yield Cell(era), pa.concat_tables(rest).combine_chunks()
            rest, era = [], era + 1
    if rest:
        yield Cell(era), pa.concat_tables(rest).combine_chunks()
