"""Bars from which on indicators are computed again although no bar there is another: it went, or somebody asked."""

from __future__ import annotations

import duckdb
import pyarrow as pa

_UNSEEN = """
    change_seq > (select coalesce(max(change_seq), 0) from stored)
    and change_seq > (select coalesce(max(build_seq), 0) from builds where finished_at is not null)
"""


def bars_to_compute_again(
    session: duckdb.DuckDBPyConnection,
    bars: duckdb.DuckDBPyRelation,
    stored: duckdb.DuckDBPyRelation,
    builds: duckdb.DuckDBPyRelation,
    restaged: duckdb.DuckDBPyRelation,
    removed: duckdb.DuckDBPyRelation,
) -> pa.Table:
    """symbol, interval and ts of bars that are no more, and of those read again with what is derived of them.

    `bars` is `int_bar`, `stored` `int_indicator`; the others are `control.build`, `restaged_bar` and `removed_row`. It
    is what builds noted since the last one that finished, and since `stored` was written.
    """
    again = session.sql(
        f"""
        select symbol, interval, ts from removed where model in ('int_landed_bar', 'int_derived_bar') and {_UNSEEN}
        union
        select symbol, interval, ts from restaged where {_UNSEEN}
        """
    ).to_arrow_table()
    if again.num_rows == 0:
        return again
    derived = session.sql(
        """
        with reached as (
            select symbol, min(ts) - interval 7 day as first_ts, max(ts) as last_ts from again group by symbol
        )
        select symbol, interval, min(bars.ts) as ts from bars join reached using (symbol)
        where derived_from is not null and bars.ts between first_ts and last_ts
        group by symbol, interval
        """
    ).to_arrow_table()
    return pa.concat_tables([again, derived.cast(again.schema)])
