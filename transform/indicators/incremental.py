"""Computing what changed: from each series' first changed bar on, going on from the state that was stored before it."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transform.indicators.context import state_before
from transform.indicators.kernel import advance
from transform.indicators.rows import INDICATOR_SCHEMA, NUMBERS, in_order_of_time, indicator_rows


def changed_indicators(
    session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, stored: duckdb.DuckDBPyRelation, change_seq: int
) -> pa.Table:
    """The rows of `int_indicator` that are new or no longer hold: of each series from its earliest changed bar on.

    `bars` is `int_bar`; `stored` is `int_indicator` as it is. A changed bar is one above the highest `change_seq` stored. The
    rows are what computing everything anew would give, to the bit. Raises MissingStateError.
    """
    changed = _changed_series(session, bars, stored)
    if changed.num_rows == 0:
        return INDICATOR_SCHEMA.empty_table()
    state, signals = state_before(session, bars, stored, changed)
    rows = _bars_from_first_change(session, bars, changed)
    high, low, close, volume = (rows[name].to_numpy() for name in NUMBERS)
    series = rows["series"].to_numpy()
    outputs, carried = advance(series, high, low, close, volume, state)
    crossed = signals.advance(series, high, low, close, outputs)
    keys = pa.table({**{name: changed[name].take(rows["series"]) for name in ("symbol", "interval")}, "ts": rows["ts"]})
    return pa.Table.from_batches([indicator_rows(keys, outputs, crossed, carried, change_seq)])


def _changed_series(
    session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, stored: duckdb.DuckDBPyRelation
) -> pa.Table:
    """series (0, 1, …), symbol, interval and first_ts, the time of the earliest changed bar."""
    changed = session.sql(
        """
        select symbol, interval, min(ts) as first_ts from bars
        where change_seq > (select coalesce(max(change_seq), 0) from stored)
        group by symbol, interval
        """
    ).to_arrow_table()
    return changed.append_column("series", pa.array(np.arange(changed.num_rows)))


def _bars_from_first_change(session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, changed: pa.Table) -> pa.Table:
    return in_order_of_time(
        session.sql(
            f"""
            select series, bars.ts, {", ".join(NUMBERS)}
            from bars join changed using (symbol, interval)
            where bars.ts >= $since and bars.ts >= first_ts
            """,
            params={"since": pc.min(changed["first_ts"]).as_py()},
        ).to_arrow_table()
    )
