"""Publishing what the warehouse holds: which marts changed, what the snapshot covers, where every bar is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import duckdb
import pyarrow as pa

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.marts import MARTS
from transform.snapshot.manifest import Balance, Manifest, latest_manifest
from transform.snapshot.publish import Publication, holds, publish
from transform.snapshot.retention import remove_expired
from transform.warehouse import open_warehouse

_BALANCE = """
select
    (select coalesce(sum(landed_rows), 0) from landing.slot)::bigint as landed,
    (select count(*) from int_landed_bar) as current,
    (select count(*) from stg_bar) - (select count(*) from int_landed_bar) as superseded,
    (select coalesce(sum(quarantined_rows), 0) from landing.slot)::bigint as quarantined
"""


def publish_warehouse(settings: Settings, storage: Storage) -> Manifest:
    """Publish the marts as they are in the warehouse; hold `build_lock`.

    Returns the newest manifest: the one just published, or the one before it when nothing is new. A mart that
    did not change keeps its files. What is new is told by the tables alone, so a build that was killed before
    it published is made good by the next call. Old snapshots are removed afterwards.
    """
    parent = latest_manifest(storage)
    with open_warehouse(settings) as connection:
        publication = _publication(connection, parent)
    if parent is not None and not publication.tables and publication.watermark == parent.watermark:
        return parent
    manifest = publish(storage, publication)
    remove_expired(storage, timedelta(seconds=settings.snapshot.retention_seconds))
    return manifest


def _publication(connection: duckdb.DuckDBPyConnection, parent: Manifest | None) -> Publication:
    watermark = connection.execute("select chain, max(next_offset) from landing.slot group by chain order by chain").fetchall()
    balance = connection.sql(_BALANCE).to_arrow_table().to_pylist()[0]
    build_seq, latest = connection.execute(
        "select (select max(build_seq) from control.build), (select max(produced_at) from int_landed_bar)"
    ).fetchall()[0]
    return Publication(
        build_seq=build_seq,
        watermark=dict(watermark),
        balance=Balance(**balance),
        latest_produced_at=latest,
        tables=_changed_marts(connection, parent),
    )


def _changed_marts(connection: duckdb.DuckDBPyConnection, parent: Manifest | None) -> Mapping[str, pa.Table]:
    published = {} if parent is None else parent.marts
    changed = {}
    for name, schema in MARTS.items():
        before = published.get(name)
        if "change_seq" not in schema.names:
            table = _rows(connection, name, schema)
            if before is None or not holds(before, table):
                changed[name] = table
        elif before is None or (before.rows, before.max_change_seq) != _extent(connection, name):
            changed[name] = _rows(connection, name, schema)
    return changed


def _extent(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[int, int]:
    """How many rows there are, and the newest build that changed any."""
    rows, highest = connection.execute(f"select count(*), coalesce(max(change_seq), 0) from {name}").fetchall()[0]
    return rows, highest


def _rows(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> pa.Table:
    """The whole mart, in the order of its key."""
    key = [column for column in ("symbol", "interval", "ts", schema.names[0]) if column in schema.names]
    ordered = f"select {', '.join(schema.names)} from {name} order by {', '.join(key)}"
    return connection.sql(ordered).to_arrow_table().cast(schema)
