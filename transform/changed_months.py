"""Which event months of which model changed since the newest snapshot, told by `change_seq`, and how many rows there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.marts import FCT_ALERT, FCT_DATA_QUALITY, FCT_INDICATOR, FCT_QUALITY_EVENT
from transform.publication import published_build
from transform.snapshot.manifest import latest_manifest
from transform.warehouse import open_warehouse

_READ_FROM: Mapping[str, tuple[str, ...]] = {
    "stg_bar": ("stg_bar",),
    "int_quarantined_bar": ("int_quarantined_bar",),
    "int_landed_bar": ("int_landed_bar",),
    "int_derived_bar": ("int_derived_bar",),
    "int_bar": ("int_landed_bar", "int_derived_bar"),
    "int_indicator": ("int_indicator",),
    "int_chosen_indicator": ("int_indicator",),
    FCT_INDICATOR: ("int_indicator",),
    FCT_ALERT: (FCT_ALERT,),
    FCT_QUALITY_EVENT: (FCT_QUALITY_EVENT,),
    FCT_DATA_QUALITY: (FCT_DATA_QUALITY,),
}
"""The tables whose rows a model's are."""

_TABLES = tuple(dict.fromkeys(table for tables in _READ_FROM.values() for table in tables))

BY_MONTH = tuple(_READ_FROM)
"""The models whose rows have a month."""

Changed = Mapping[str, Mapping[str, int]]
"""By model and month, `2008-01`, in order: how many rows came, went or are others. A month is named only if one did."""


@dataclass(frozen=True)
class ModelRows:
    """Of models whose rows have a month: what changed, and about how many rows each has by now."""

    changed: Changed
    total: Mapping[str, int]


NO_ROWS = ModelRows({}, {})


def model_rows(settings: Settings, storage: Storage) -> ModelRows:
    """What builds changed since the newest snapshot, all there is where there is none; hold `build_lock`.

    It reads the rows that changed, not the tables: a table's pieces know the highest `change_seq` of theirs. Totals are DuckDB's
    own count of a table, which may still hold rows that went a moment ago.
    """
    parent = latest_manifest(storage)
    with open_warehouse(settings) as connection:
        since = published_build(connection, parent) or 0
        changed = {table: _changed(connection, table, since) for table in _TABLES}
        total = dict(connection.execute("select table_name, estimated_size from duckdb_tables()").fetchall())
    return ModelRows(
        {model: _sum(changed[table] for table in tables) for model, tables in _READ_FROM.items()},
        {model: sum(total[table] for table in tables) for model, tables in _READ_FROM.items()},
    )


def _changed(connection: duckdb.DuckDBPyConnection, table: str, since: int) -> dict[str, int]:
    removed_from = (table, "int_landed_bar", "int_derived_bar") if table == "int_indicator" else (table,)
    found = connection.execute(
        f"""
        select strftime(ts, '%Y-%m') as month, count(*) from (
            select symbol, interval, ts from {table} where change_seq > $since
            union all
            select symbol, interval, ts from control.removed_row
            where change_seq > $since and model in (select unnest($removed_from))
        )
        group by month order by month
        """,
        {"since": since, "removed_from": list(removed_from)},
    ).fetchall()
    return dict(found)


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))
