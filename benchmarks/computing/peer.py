"""What the other ways have in common: reading bars as Arrow, writing indicators back, and which bars a step needs."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa

from benchmarks.computing.work import CORRECTED, FULL, NEWEST, Work, answer, open_database
from benchmarks.measuring.meter import Meter

Compute = Callable[[pa.Table], pa.Table]
"""From symbol, interval, ts, high, low, close and volume to symbol, interval, ts and every indicator."""

TAIL_BARS = 300
"""With so many bars before it, a Wilder average that is seeded elsewhere is off by 6e-10 of what it was off at its seed."""

_CHANGED = "symbol in (select symbol from int_bar where change_seq = $change_seq)"
_READ = {
    FULL: "true",
    NEWEST: f"ts > $since::timestamptz - interval '{TAIL_BARS} days'",
    CORRECTED: _CHANGED,
}
_IS_REPLACED = f"ts >= $since::timestamptz and {_CHANGED}"


def run(compute: Compute) -> None:
    """Measure a step by `compute`, which is handed the bars ordered by symbol, interval, ts."""
    work, meter = Work.from_arguments(), Meter()
    connection = open_database(work)
    meter.start()
    connection.execute("begin")
    found = connection.execute("select min(ts)::varchar from int_bar where change_seq = $1", [work.change_seq]).fetchone()
    bound = {"since": found and found[0], "change_seq": work.change_seq}
    indicators = compute(_read(connection, work.step, bound))
    if work.step == FULL:
        connection.execute(f"create table {work.table} as from indicators")
        rows = indicators.num_rows
    else:
        connection.execute(f"delete from {work.table} where {_IS_REPLACED}", bound)
        inserted = connection.execute(f"insert into {work.table} from indicators where {_IS_REPLACED}", bound).fetchone()
        rows = inserted[0] if inserted else 0
    connection.execute("commit")
    meter.stop()
    answer(connection, meter, rows)


def _read(connection: duckdb.DuckDBPyConnection, step: str, bound: dict[str, object]) -> pa.Table:
    condition = _READ[step]
    used = {name: value for name, value in bound.items() if f"${name}" in condition}
    columns = "symbol, interval, ts, basis_high as high, basis_low as low, basis_close as close, volume"
    query = f"select {columns} from int_bar where {condition} order by symbol, interval, ts"  # a corrected bar lies at the end
    return connection.execute(query, used).to_arrow_table()
