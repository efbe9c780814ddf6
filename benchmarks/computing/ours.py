"""Ours: the functions that the model calls, and the statements that dbt writes around them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.computing.work import FULL, NEWEST, Work, answer, open_database
from benchmarks.measuring.meter import Meter
from transform.indicators.incremental import changed_indicators
from transform.indicators.refresh import all_indicators

_REPLACE = """
    create temp table changed as from computed;
    delete from {table} as stored using changed
    where changed.symbol = stored.symbol and changed.interval = stored.interval and changed.ts = stored.ts;
    insert into {table} from changed;
"""


def compute(connection: duckdb.DuckDBPyConnection, work: Work) -> None:
    bars = connection.table("int_bar")
    if work.step == FULL:
        connection.register("computed", all_indicators(connection.cursor(), bars, work.change_seq))
        connection.execute("set disabled_compression_methods = 'alp,alprd'")  # as the model's hooks do
        connection.execute(f"create table {work.table} as from computed")
        connection.execute("reset disabled_compression_methods")
    else:
        stored = connection.table(work.table)
        connection.register("computed", changed_indicators(connection, bars, stored, work.change_seq))
        connection.execute(_REPLACE.format(table=work.table))


def warm_up() -> None:
    """Load compiled code, as a process that has built before has it, on a year of bars in memory."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            """
            create table int_bar as
            select 'A' as symbol, '1d' as interval, ts, 2e0 as basis_high, 1e0 as basis_low, 1e0 as basis_close, 1e0 as volume,
                if(ts < '2020-12-31', 1, 2)::bigint as change_seq
            from range('2020-01-01'::timestamptz, '2021-01-01', interval 1 day) as day(ts)
            """
        )
        compute(connection, Work(Path(), "int_indicator", FULL, 1))
        compute(connection, Work(Path(), "int_indicator", NEWEST, 2))


def count_rows(connection: duckdb.DuckDBPyConnection, table: str, change_seq: int) -> int:
    """How many rows of a table of ours a build brought up to date: it wrote them, or computed them and found them stored."""
    found = connection.execute(
        f"""
        select count(*) from {table} as stored
        left join (
            select symbol, interval, min(ts) as first_ts from int_bar where change_seq = $build group by symbol, interval
        ) as changed using (symbol, interval)
        where stored.change_seq = $build or stored.ts >= first_ts
        """,
        {"build": change_seq},
    ).fetchone()
    return found[0] if found else 0


if __name__ == "__main__":
    work, meter = Work.from_arguments(), Meter()
    warm_up()
    connection = open_database(work)
    meter.start()
    connection.execute("begin")
    compute(connection, work)
    connection.execute("commit")
    meter.stop()
    answer(connection, meter, count_rows(connection, work.table, work.change_seq))
