"""Computing every indicator anew: chunk by chunk in the order of time, the next chunk read while one is computed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transform.indicators.kernel import advance, new_state
from transform.indicators.rows import INDICATOR_SCHEMA, NUMBERS, in_order_of_time, indicator_rows
from transform.indicators.signals import RANGE_INTERVAL, Signals

CHUNK_ROWS = 500_000
"""A chunk is a range of time of about so many bars, some 100 MB with what is computed of it: memory is bounded by two."""

ROW_GROUP_ROWS = 122_880
"""DuckDB's row group: pieces of just this size are written by several threads at once."""

_COLUMNS = ", ".join(("symbol", "interval", "ts", *NUMBERS))


def all_indicators(session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, change_seq: int) -> pa.RecordBatchReader:
    """The rows of `int_indicator` for all of `bars`, which is `int_bar`, in the order of ts.

    They are read on `session` and computed while the reader is read, so that has to be written on another cursor.
    """
    return pa.RecordBatchReader.from_batches(INDICATOR_SCHEMA, _batches(_read_ahead(_chunks(session, bars)), change_seq))


def _batches(chunks: Iterator[pa.Table], change_seq: int) -> Iterator[pa.RecordBatch]:
    known, state, signals = _Series(), new_state(0), Signals()
    for bars in _row_groups(chunks):
        series = known.numbers(bars)
        state = np.concatenate((state, new_state(len(known) - len(state))))
        high, low, close, volume = (bars[name].to_numpy() for name in NUMBERS)
        signals.add(np.array([interval == RANGE_INTERVAL for interval in known.intervals[len(signals) :]], np.bool_))
        outputs, carried = advance(series, high, low, close, volume, state)
        yield indicator_rows(bars, outputs, signals.advance(series, high, low, close, outputs), carried, change_seq)


def _row_groups(chunks: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The bars cut into pieces of exactly `ROW_GROUP_ROWS` but for the last, each in the order of time."""
    rest: list[pa.Table] = []
    for chunk in chunks:
        bars = pa.concat_tables([*rest, in_order_of_time(chunk)]).combine_chunks()
        whole = bars.num_rows - bars.num_rows % ROW_GROUP_ROWS
        for begin in range(0, whole, ROW_GROUP_ROWS):
            yield bars.slice(begin, ROW_GROUP_ROWS)
        rest = [bars.slice(whole)]
    yield from rest


def _chunks(session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation) -> Iterator[pa.Table]:
    """The bars in ranges of time, which are disjoint and follow each other."""
    times = session.sql("select ts, count(*)::bigint as bars from bars group by ts order by ts").to_arrow_table()
    chunk_of = np.cumsum(times["bars"].to_numpy()) // CHUNK_ROWS
    lasts = np.flatnonzero(np.diff(chunk_of, append=-1))
    after = None
    for last in lasts:
        until = times["ts"][int(last)].as_py()
        later = "" if after is None else "ts > $after and"
        bound = {"until": until} if after is None else {"until": until, "after": after}
        yield session.sql(f"select {_COLUMNS} from bars where {later} ts <= $until", params=bound).to_arrow_table()
        after = until


def _read_ahead(chunks: Iterator[pa.Table]) -> Iterator[pa.Table]:
    with ThreadPoolExecutor(1, thread_name_prefix="read-bars") as thread:
        upcoming = thread.submit(next, chunks, None)
        while (chunk := upcoming.result()) is not None:
            upcoming = thread.submit(next, chunks, None)
            yield chunk


class _Series:
    """Numbers the series, a series being a (symbol, interval), from 0 in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def intervals(self) -> list[str]:
        """The interval of each."""
        return [interval for _symbol, interval in self._numbers]

    def numbers(self, bars: pa.Table) -> NDArray[np.int64]:
        """The number of each bar's series."""
        symbol, interval = (bars[name].combine_chunks().dictionary_encode() for name in ("symbol", "interval"))
        symbols, intervals = symbol.dictionary.to_pylist(), interval.dictionary.to_pylist()
        pair = symbol.indices.to_numpy().astype(np.int64) * len(intervals) + interval.indices.to_numpy()
        number_of_pair = np.zeros(len(symbols) * len(intervals), np.int64)
        for each in np.flatnonzero(np.bincount(pair)).tolist():
            key = symbols[each // len(intervals)], intervals[each % len(intervals)]
            number_of_pair[each] = self._numbers.setdefault(key, len(self._numbers))
        return number_of_pair[pair]
