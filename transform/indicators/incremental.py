"""Computing what changed: from each series' first changed bar on, going on from the state that was stored before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transform.indicators.context import state_before
from transform.indicators.kernel import advance
from transform.indicators.rows import INDICATOR_SCHEMA, NUMBERS, in_order_of_time, indicator_rows

ROWS_TOGETHER = 1_000_000
"""Series are computed together up to so many bars: what is computed of them and not written yet is in memory."""

_VALUES = [name for name in INDICATOR_SCHEMA.names[3:] if name != "change_seq"]


def changed_indicators(
    session: duckdb.DuckDBPyConnection,
    bars: duckdb.DuckDBPyRelation,
    stored: duckdb.DuckDBPyRelation,
    change_seq: int,
    again: pa.Table | None = None,
) -> pa.Table:
    """The rows of `int_indicator` that are new or no longer hold, and those of changed bars.

    `bars` is `int_bar`; `stored` is `int_indicator` as it is. A changed bar is one above the highest `change_seq` stored; `again`
    has symbol, interval and ts of others to compute from. Each series is computed from the first of these on, to its end; where
    what comes out is what is stored, the row stays. The rows are what computing everything anew would give, to the bit. Raises
    MissingStateError.
    """
    seen = stored.aggregate("coalesce(max(change_seq), 0)").fetchall()[0][0]
    changed = _changed_series(session, bars, seen, INDICATOR_SCHEMA.empty_table() if again is None else again)
    if changed.num_rows == 0:
        return INDICATOR_SCHEMA.empty_table()
    state, signals = state_before(session, bars, stored, changed)
    rows = _bars_from_first_change(session, bars, changed)
    computed = []
    for part in _parts(rows):
        high, low, close, volume = (part[name].to_numpy() for name in NUMBERS)
        series = part["series"].to_numpy()
        outputs, carried = advance(series, high, low, close, volume, state)
        crossed = signals.advance(series, high, low, close, outputs)
        keys = pa.table({**{name: changed[name].take(part["series"]) for name in ("symbol", "interval")}, "ts": part["ts"]})
        fresh = indicator_rows(keys, outputs, crossed, carried, change_seq)
        computed.append(_others(session, stored, fresh, pc.greater(part["change_seq"], seen)))
    return pa.concat_tables([INDICATOR_SCHEMA.empty_table(), *computed])


def _others(
    session: duckdb.DuckDBPyConnection, stored: duckdb.DuckDBPyRelation, fresh: pa.RecordBatch, is_news: pa.ChunkedArray
) -> pa.Table:
    """Those of the fresh rows whose bar is news, or that are not stored to the bit."""
    rows = pa.Table.from_batches([fresh])
    if pc.all(is_news).as_py():
        return rows
    candidates = rows.append_column("is_news", is_news).append_column("place", pa.array(np.arange(rows.num_rows)))
    return rows.take(_places(session, stored, candidates, pc.min(rows["ts"]).as_py()))


def _places(
    session: duckdb.DuckDBPyConnection, stored: duckdb.DuckDBPyRelation, candidates: pa.Table, since: datetime
) -> pa.ChunkedArray:
    differs = " or ".join(f"stored.{name} is distinct from candidates.{name}" for name in _VALUES)
    return session.sql(
        f"""
        select place from candidates
        left join (from stored where ts >= $since) as stored using (symbol, interval, ts)
        where is_news or stored.symbol is null or {differs}
        order by place
        """,
        params={"since": since},
    ).to_arrow_table()["place"]


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    """The bars, in the order of time, series by series as many together as `ROWS_TOGETHER` allows."""
    series = rows["series"].to_numpy()
    if len(series) <= ROWS_TOGETHER:
        yield rows
        return
    part_of = ((np.cumsum(np.bincount(series)) - 1) // ROWS_TOGETHER)[series]
    for part in range(int(part_of.max()) + 1):
        yield rows.filter(pa.array(part_of == part)).combine_chunks()


def _changed_series(session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, seen: int, again: pa.Table) -> pa.Table:
    """series (0, 1, …), symbol, interval and first_ts, the time of the earliest bar that is another or that `again` has."""
    changed = session.sql(
        """
        select symbol, interval, min(ts) as first_ts from (
            select symbol, interval, ts from bars where change_seq > $seen
            union all
            select symbol, interval, ts from again
        )
        group by symbol, interval
        """,
        params={"seen": seen},
    ).to_arrow_table()
    return changed.append_column("series", pa.array(np.arange(changed.num_rows)))


def _bars_from_first_change(session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, changed: pa.Table) -> pa.Table:
    return in_order_of_time(
        session.sql(
            f"""
            select series, bars.ts, {", ".join(NUMBERS)}, change_seq
            from bars join changed using (symbol, interval)
            where bars.ts >= $since and bars.ts >= first_ts
            """,
            params={"since": pc.min(changed["first_ts"]).as_py()},
        ).to_arrow_table()
    )
