"""Carrying indicators forward: which rows to compute again, from which state, and the rows that result."""

from __future__ import annotations

from collections.abc import Collection

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from transform.indicators.kernel import CONTEXT_BARS, OUTPUTS, STATE, advance

_BAR_COLUMNS = """symbol, interval, ts, open, high, low, close, adj_close, volume, price_basis,
    basis_open, basis_high, basis_low, basis_close, source"""

_WHOLE_HISTORY = f"""
    select {_BAR_COLUMNS}, null::double as bar_number, null::double as ema_12_state,
        null::double as avg_gain, null::double as avg_loss
    from bars
    order by symbol, interval, ts
"""

_FROM_FIRST_CHANGE = f"""
    with changed as (
        select symbol, interval, min(ts) as first_ts
        from bars
        where change_seq > (select coalesce(max(change_seq), 0) from stored)
        group by symbol, interval
    ),
    context as (
        select stored.*
        from stored
        join changed using (symbol, interval)
        where stored.ts < changed.first_ts
        qualify row_number() over (partition by symbol, interval order by ts desc) <= {CONTEXT_BARS}
    )
    select {_BAR_COLUMNS}, bar_number, ema_12_state, avg_gain, avg_loss from context
    union all by name
    select {_BAR_COLUMNS} from bars join changed using (symbol, interval) where ts >= first_ts
    order by symbol, interval, ts
"""


def indicator_rows(
    session: duckdb.DuckDBPyConnection,
    bars: duckdb.DuckDBPyRelation,
    stored: duckdb.DuckDBPyRelation | None,
    computed: Collection[str],
    change_seq: int,
) -> pa.Table:
    """The rows of `int_indicator` to write: from each series' earliest changed bar on, or all of them.

    `bars` is `int_bar`; `stored` is `int_indicator` as it is, None for a full refresh. A changed bar is one
    above the highest `change_seq` stored. Indicators that are not in `computed` are null.
    """
    rows = session.sql(_WHOLE_HISTORY if stored is None else _FROM_FIRST_CHANGE).to_arrow_table()
    outputs, states, is_new = _compute(rows)
    kept = {name: rows[name] for name in rows.column_names if name not in STATE}
    for name, values in zip(OUTPUTS, outputs, strict=True):
        source = "mean_volume_20" if name == "prior_mean_volume_20" else name
        kept[name] = _nullable(values) if source in computed else pa.nulls(rows.num_rows, pa.float64())
    kept |= {name: pa.array(values) for name, values in zip(STATE, states, strict=True)}
    kept["change_seq"] = pa.array(np.full(rows.num_rows, change_seq, dtype=np.int64))
    return pa.table(kept).filter(pa.array(is_new))


def _compute(rows: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    first, end = _series_bounds(rows)
    is_new = rows["bar_number"].is_null().to_numpy()
    context = np.concatenate(([0], np.cumsum(~is_new)))
    begin = first + context[end] - context[first]
    stored = np.stack([_floats(rows, name) for name in STATE], axis=1) if rows.num_rows else np.zeros((0, len(STATE)))
    start = np.zeros((first.size, len(STATE)))
    resumed = begin > first
    start[resumed] = stored[begin[resumed] - 1]
    outputs, states = advance(first, begin, end, _floats(rows, "basis_close"), _floats(rows, "volume"), start)
    return outputs, states, is_new


def _series_bounds(rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers at which each (symbol, interval) begins, and ends."""
    if rows.num_rows == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    key = pc.binary_join_element_wise(rows["symbol"], rows["interval"], "\n").combine_chunks()
    end = pc.run_end_encode(key).run_ends.to_numpy().astype(np.int64)
    return np.concatenate(([0], end[:-1])), end


def _floats(rows: pa.Table, name: str) -> NDArray[np.float64]:
    return rows[name].fill_null(float("nan")).to_numpy().astype(np.float64, copy=False)


def _nullable(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, from_pandas=True)
