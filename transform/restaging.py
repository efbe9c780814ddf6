"""Reading slots again that were staged before: what is staged of them becomes what they and their records say now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import duckdb
import pyarrow as pa

from tickhouse.storage import Storage
from transform.months import Months
from transform.staging import QUARANTINED_SCHEMA, STAGED_SCHEMA, OnSlot, reread_bars, reread_quarantined

TABLES = """
create table if not exists control.restaged_bar (
    symbol varchar not null, interval varchar not null, ts timestamptz not null,
    is_changed boolean not null, change_seq bigint not null
);
create table if not exists control.removed_row (
    model varchar not null, symbol varchar not null, interval varchar not null, ts timestamptz not null,
    change_seq bigint not null
);
"""

_KEY = "symbol, interval, ts"

# A message that was sent again counts once with those of the same first place: what became of one decides about the others.
_SAME_PLACE = """
with place as (
    select distinct
        coalesce(origin_topic_id, topic_id) as topic_id,
        coalesce(origin_partition, "partition") as partition_number,
        coalesce(origin_offset, "offset") as place_offset
    from moved_bar
)
select bar.symbol, bar.interval, bar.ts
from stg_bar as bar
join place on bar.topic_id = place.topic_id and bar."partition" = partition_number and bar."offset" = place_offset
union
select bar.symbol, bar.interval, bar.ts
from stg_bar as bar
join place
    on bar.origin_topic_id = place.topic_id and bar.origin_partition = partition_number and bar.origin_offset = place_offset
where bar.origin_topic_id is not null
"""


def restage(
    connection: duckdb.DuckDBPyConnection,
    storage: Storage,
    slots: Sequence[int],
    build_seq: int,
    *,
    months: Months | None = None,
    on_slot: OnSlot | None = None,
) -> tuple[int, int]:
    """Make `stg_bar` and `int_quarantined_bar` hold of the slots what these have now; how many rows moved, how many are staged.

    `slots` are by `slot_seq`. Only rows that came, went or are others are written, with `build_seq` as their `change_seq`, and
    `control.restaged_bar` gets every bar that this may have changed. It also gets all bars of `months`, as ones to compute again
    and to compare. What was not staged yet is left to the models. It is the caller's transaction: the tables and what is noted of
    them change together.
    """
    tables = {
        name for (name,) in connection.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
    }
    if not {"stg_bar", "int_quarantined_bar", "int_landed_bar"} <= tables:
        return 0, 0
    bars = partial(reread_bars, storage, connection, change_seq=build_seq, on_slot=on_slot)
    moved = _replace(connection, "stg_bar", STAGED_SCHEMA, bars, slots)
    _note_moved(connection, "stg_bar", build_seq)
    connection.execute("create or replace temp table moved_bar as from moved")
    quarantined = partial(reread_quarantined, storage, connection, change_seq=build_seq)
    moved += _replace(connection, "int_quarantined_bar", QUARANTINED_SCHEMA, quarantined, slots)
    _note_moved(connection, "int_quarantined_bar", build_seq)
    connection.execute(
        f"insert into control.restaged_bar select {_KEY}, true, ? from "
        f"(select {_KEY} from moved_bar union select {_KEY} from moved union ({_SAME_PLACE}))",
        [build_seq],
    )
    if months is not None:
        connection.execute(
            f"insert into control.restaged_bar select {_KEY}, false, ?::bigint from "
            f"(select {_KEY} from stg_bar union select {_KEY} from int_landed_bar) "
            "where ts >= ? and ts < ?::timestamptz + interval '1' month",
            [build_seq, months.begin, months.last_begin],
        )
    connection.execute("drop table moved_bar; drop table moved")
    return moved, connection.execute("select count(*) from stg_bar").fetchall()[0][0]


def _note_moved(connection: duckdb.DuckDBPyConnection, table: str, build_seq: int) -> None:
    """Some of the moved rows went: their months have changed, and no row there may say so."""
    connection.execute(f"insert into control.removed_row select distinct ?, {_KEY}, ?::bigint from moved", [table, build_seq])


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    schema: pa.Schema,
    reread: Callable[[Sequence[int]], pa.RecordBatchReader],
    slots: Sequence[int],
) -> int:
    """Let the table hold the slots' rows as they are now. How many came or went; these are in a temporary table `moved`."""
    columns = ", ".join(f'"{name}"' for name in schema.names if name != "change_seq")
    staged_to = connection.execute(f"select coalesce(max(slot_seq), 0) from {table}").fetchall()[0][0]
    wanted = [slot for slot in slots if slot <= staged_to]
    connection.register("fresh_rows", reread(wanted))
    connection.execute("create or replace temp table fresh as from fresh_rows")
    connection.unregister("fresh_rows")
    connection.execute(
        f"create or replace temp table kept as select {columns} from {table} where slot_seq in (select unnest(?::bigint[]))",
        [wanted],
    )
    connection.execute(
        f"""
        create or replace temp table moved as
        (select {columns} from kept except all select {columns} from fresh)
        union all
        (select {columns} from fresh except all select {columns} from kept);
        delete from {table} as stored using moved where stored.slot_seq = moved.slot_seq and stored."offset" = moved."offset";
        insert into {table} ({columns}, change_seq)
        select {columns}, change_seq from fresh
        where exists (select 1 from moved where moved.slot_seq = fresh.slot_seq and moved."offset" = fresh."offset");
        drop table fresh;
        drop table kept;
        """
    )
    return int(connection.execute("select count(*) from moved").fetchall()[0][0])
