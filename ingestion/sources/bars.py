"""A feed as one table of bars: typed, with an interval, in the order of time."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.sources.columns import UTC, FileColumns
from ingestion.sources.mapping import SourceError
from tickhouse.bar import BAR_SCHEMA, INTERVALS

FEED_SCHEMA = pa.schema([field for field in BAR_SCHEMA if field.name != "produced_at"], metadata=BAR_SCHEMA.metadata)
"""A bar before it is produced: what every source gives, ordered by (ts, symbol)."""

_NUMBERS = ("open", "high", "low", "close", "adj_close", "volume")
_DAILY = [name for name, seconds in INTERVALS.items() if seconds >= INTERVALS["1d"]]


def make_bars(
    columns: FileColumns, *, symbol: str | None = None, interval: str | None = None, source: str | None = None
) -> pa.Table:
    """The file's bars in `FEED_SCHEMA`, ordered by (ts, symbol); bars of one identity keep the file's order.

    Times without a zone are UTC; a bar of a day or more stands at 00:00 UTC of its date as written. `symbol` stands
    where the file has no such column; `interval` and `source` win over a column, and without either the interval is
    inferred from the spacing and the source is the file's name up to its first dot. Raises SourceError for values that
    cannot be read (the first few of them), an unknown interval, or no rows.
    """
    bars = read_rows(columns, symbol=symbol, interval=interval, source=source)
    return bars.take(pc.sort_indices(bars, [("ts", "ascending"), ("symbol", "ascending")])).combine_chunks()


def read_rows(
    columns: FileColumns, *, symbol: str | None = None, interval: str | None = None, source: str | None = None
) -> pa.Table:
    """The bars as `make_bars` gives them, in the order of the file. Raises as it does."""
    if columns.rows == 0:
        raise SourceError(f"{columns.file} has no rows")
    symbols = read_symbols(columns, symbol)
    instants = columns.instants("ts")
    arrays = {name: columns.numbers(name) for name in _NUMBERS}
    arrays["source"] = _sources(columns, source)
    intervals = _intervals(columns, interval)
    columns.bad.refuse()
    if intervals is None:
        intervals = _constant(infer_interval(symbols, instants, columns.file), columns)
    is_daily = pc.is_in(intervals, pa.array(_DAILY))
    times = pc.if_else(is_daily, columns.dates("ts"), instants) if pc.any(is_daily).as_py() else instants
    arrays |= {"symbol": symbols, "interval": intervals, "ts": times}
    return pa.table([arrays[name] for name in FEED_SCHEMA.names], schema=FEED_SCHEMA)


def read_symbols(columns: FileColumns, symbol: str | None) -> pa.Array:
    """Each row's symbol, which is `symbol` where that is given."""
    return columns.text("symbol") if symbol is None else _constant(symbol, columns)


def is_ordered(bars: pa.Table) -> bool:
    """Whether the bars are in the order of (ts, symbol)."""
    these, nexts = bars.slice(0, max(bars.num_rows - 1, 0)), bars.slice(1)
    is_same_time = pc.and_(pc.equal(these["ts"], nexts["ts"]), pc.less_equal(these["symbol"], nexts["symbol"]))
    return bool(pc.all(pc.or_(pc.less(these["ts"], nexts["ts"]), is_same_time), min_count=0).as_py())


def infer_interval(symbols: pa.Array, instants: pa.Array, file: str) -> str:
    """The known interval that the median distance from a bar to its symbol's next is. Raises SourceError when it is none."""
    bars = pa.table({"symbol": symbols, "at": instants.cast(pa.int64())}).group_by(["symbol", "at"]).aggregate([])
    bars = bars.sort_by([("symbol", "ascending"), ("at", "ascending")])
    these, nexts = bars.slice(0, bars.num_rows - 1), bars.slice(1)
    spacings = pc.subtract(nexts["at"], these["at"]).filter(pc.equal(nexts["symbol"], these["symbol"]))
    choice = f"Name it: --interval, one of {', '.join(INTERVALS)}"
    if len(spacings) == 0:
        raise SourceError(f"cannot tell the interval of {file}: no symbol has two bars. {choice}")
    median = pc.quantile(spacings, 0.5, interpolation="lower")[0].as_py() / 1e6
    for name, seconds in INTERVALS.items():
        if median == seconds:
            return name
    raise SourceError(f"cannot tell the interval of {file}: its bars are {median:g} s apart (median). {choice}")


def split_at(bars: pa.Table, at: datetime) -> tuple[pa.Table, pa.Table]:
    """The bars before `at` and those from `at` on, each in the order they had. Raises ValueError when `at` has no time zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    is_before = pc.less(bars["ts"], pa.scalar(at, UTC))
    return bars.filter(is_before), bars.filter(pc.invert(is_before))


def _intervals(columns: FileColumns, given: str | None) -> pa.Array | None:
    """Each row's interval; None where neither the caller nor the file says it."""
    if given is not None and given not in INTERVALS:
        raise SourceError(f"{given!r} is not an interval; they are {', '.join(INTERVALS)}")
    if given is None and "interval" in columns:
        return columns.text("interval", among=tuple(INTERVALS))
    return None if given is None else _constant(given, columns)


def _sources(columns: FileColumns, given: str | None) -> pa.Array:
    if given is None and "source" in columns:
        return columns.text("source")
    return _constant(given or columns.file.split(".", 1)[0] or columns.file, columns)


def _constant(value: str, columns: FileColumns) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), columns.rows)
