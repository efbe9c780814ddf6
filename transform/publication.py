"""Publishing what the warehouse holds: which marts changed and where, what the snapshot covers, where every bar is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import duckdb
import pyarrow as pa

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.alerts.ledger import AlertChange, dropped_files, is_begun, new_entries
from transform.changed_cells import Changes, find_changes, read_cells
from transform.marts import ALERT_EVENT, FCT_ALERT, MARTS
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, PublishedMart, latest_manifest
from transform.snapshot.publish import NewMart, Publication, holds, publish
from transform.snapshot.retention import remove_expired
from transform.warehouse import open_warehouse

MEMORY = "1GB"
"""What DuckDB may take while it reads what is published; rows that were read take up to 0.5 GB besides."""

_BALANCE = """
select
    (select coalesce(sum(landed_rows), 0) from landing.slot)::bigint as landed,
    (select count(*) from int_landed_bar) as current,
    (select count(*) from stg_bar) - (select count(*) from int_landed_bar) as superseded,
    (select coalesce(sum(quarantined_rows), 0) from landing.slot)::bigint as quarantined
"""


Marts = Mapping[str, NewMart]


class BuildUnfinishedError(RuntimeError):
    """The newest build was ended before all of its models were made: what the warehouse holds is of two builds."""


def publish_warehouse(settings: Settings, storage: Storage, on_rows: Callable[[int], object] | None = None) -> Manifest:
    """Publish the marts as they are in the warehouse; hold `build_lock`. `on_rows` is told how many rows of each file.

    Returns the newest manifest: the one just published, or the one before it when nothing is new. What changed is told by the
    tables alone, so a build that was killed before it published is made good by the next call; files without a change are kept.
    Old snapshots are removed afterwards. Raises BuildUnfinishedError, and PublishConflictError.
    """
    parent = latest_manifest(storage)
    with open_warehouse(settings) as connection:
        connection.execute(f"set memory_limit = '{MEMORY}'")
        publication = _publication(connection, settings, storage, parent)
        if parent is not None and not publication.marts and publication.watermark == parent.watermark:
            return parent
        manifest = publish(storage, publication, on_rows)
        connection.execute("delete from control.removed_row where change_seq <= ?", [publication.build_seq])
    remove_expired(storage, timedelta(seconds=settings.snapshot.retention_seconds))
    return manifest


@dataclass(frozen=True)
class _Build:
    build_seq: int
    build_id: str | None


def _publication(
    connection: duckdb.DuckDBPyConnection, settings: Settings, storage: Storage, parent: Manifest | None
) -> Publication:
    build = _newest_build(connection)
    watermark = connection.execute("select chain, max(next_offset) from landing.slot group by chain order by chain").fetchall()
    balance = connection.sql(_BALANCE).to_arrow_table().to_pylist()[0]
    marts = dict(_changed_marts(connection, parent))
    if (entries := _alert_entries(connection, settings, storage, parent, marts)) is not None:
        marts[ALERT_EVENT] = entries
    latest = connection.execute("select max(produced_at) from int_landed_bar").fetchall()[0][0]
    return Publication(
        parent=parent,
        build_seq=build.build_seq,
        build_id=build.build_id,
        watermark=dict(watermark),
        balance=Balance(**balance),
        latest_produced_at=latest,
        marts=marts,
    )


def _newest_build(connection: duckdb.DuckDBPyConnection) -> _Build:
    build_seq, build_id, finished_at = connection.execute(
        "select build_seq, build_id, finished_at from control.build order by build_seq desc limit 1"
    ).fetchall()[0]
    if finished_at is None:
        raise BuildUnfinishedError(f"build {build_seq} did not finish, so nothing is published: run `tickhouse build`")
    return _Build(build_seq, build_id)


def _changed_marts(connection: duckdb.DuckDBPyConnection, parent: Manifest | None) -> Iterator[tuple[str, NewMart]]:
    since = published_build(connection, parent)
    published: Mapping[str, PublishedMart] = {} if parent is None else parent.marts
    for name, schema in MARTS.items():
        before = published.get(name)
        if "change_seq" not in schema.names:
            table = _rows(connection, name, schema)
            if before is None or not holds(before, table):
                yield name, NewMart(cells=[(Cell(0), table)])
            continue
        changes = find_changes(connection, name, before, since)
        if changes is not None:
            yield name, _new_mart(connection, name, schema, changes)


def _alert_entries(
    connection: duckdb.DuckDBPyConnection, settings: Settings, storage: Storage, parent: Manifest | None, marts: Marts
) -> NewMart | None:
    """What the alerts that changed add to the ledger. It reads what the publication drops, before anything is written."""
    alerts = marts.get(FCT_ALERT)
    if alerts is None and is_begun(parent):
        return None
    dropped = [] if alerts is None else dropped_files(parent, alerts)
    change = AlertChange(parent, dropped, published_build(connection, parent))
    return new_entries(connection.cursor(), storage, change, settings.delivery)


def _new_mart(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, changes: Changes) -> NewMart:
    highest = connection.execute(f"select coalesce(max(change_seq), 0) from {changes.counted}").fetchall()[0][0]
    cells = read_cells(connection, name, schema, changes.layout, changes.cells)
    return NewMart(cells=cells, kept=changes.kept, cuts=changes.layout.cuts, max_change_seq=highest)


def published_build(connection: duckdb.DuckDBPyConnection, parent: Manifest | None) -> int | None:
    """The build that the newest snapshot is of; None where that is not of this warehouse, and nothing can be told from it."""
    if parent is None or parent.build_id is None:
        return None
    found = connection.execute("select build_seq from control.build where build_id = ?", [parent.build_id]).fetchone()
    return None if found is None else found[0]


def _rows(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> pa.Table:
    """The whole of a mart that has no history, by its columns."""
    columns = ", ".join(f'"{column}"' for column in schema.names)  # partition is a word of SQL
    return connection.sql(f"select {columns} from {name} order by all").to_arrow_table().cast(schema)
