"""The state that series go on from: restored from what is stored of the bars before their first change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickhouse.bar import INTERVALS
from transform.indicators.kernel import RECURSIONS, WINDOW_BARS, advance, new_state, restore
from transform.indicators.rows import NUMBERS, in_order_of_time
from transform.indicators.signal_arithmetic import RANGE_BARS
from transform.indicators.signals import COMPARED, RANGE_INTERVAL, Signals

_REACHES = (1.6, 12.0, 96.0)
"""How far back the last bars are looked for, in multiples of their length; then everywhere."""


class MissingStateError(RuntimeError):
    """A bar that was there when the indicators were last computed has no row of them."""


@dataclass(frozen=True)
class _LastBars:
    """The last bars of each of some series, ordered by (series, ts); `last` are the places of each series' newest one."""

    series: NDArray[np.int64]
    ts: pa.ChunkedArray
    numbers: list[NDArray[np.float64]]
    last: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many bars each series has here."""
        return np.diff(self.last, prepend=-1)

    def places(self, is_wanted: NDArray[np.bool_], newest: int = RANGE_BARS) -> NDArray[np.int64]:
        """The places of the newest so many bars of each of those series."""
        age = np.repeat(self.last, self.counts) - np.arange(len(self.series))
        return np.flatnonzero(np.repeat(is_wanted, self.counts) & (age < newest))


def state_before(
    session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, stored: duckdb.DuckDBPyRelation, changed: pa.Table
) -> tuple[NDArray[np.float64], Signals]:
    """The kernel's state of each series after its last bar before `first_ts`, shape (series, STATE_WIDTH), and its signals'.

    `changed` has series (0, 1, …), symbol, interval and first_ts; `bars` is `int_bar`, `stored` is `int_indicator`. Bars are
    looked for near `first_ts` first: what is read follows from the series, not from their histories, unless a series was
    silent for long, or is new. Raises MissingStateError.
    """
    state, signals = new_state(changed.num_rows), Signals()
    signals.add(pc.equal(changed["interval"], RANGE_INTERVAL).to_numpy())
    for interval in pc.unique(changed["interval"]).to_pylist():
        wanted = changed.filter(pc.equal(changed["interval"], interval))
        for reach in (*_REACHES, None):
            found = _last_bars(session, bars, wanted, reach)
            carried = _carried(session, stored, wanted, found)
            is_whole = found.counts == np.minimum(carried[:, 0], _context_bars(interval))
            _set(state, found, carried[:, : len(RECURSIONS)], is_whole)
            _set_signals(signals, found, carried[:, len(RECURSIONS) :], is_whole, has_range=interval == RANGE_INTERVAL)
            done = pa.array(found.series[found.last[is_whole]])
            wanted = wanted.filter(pc.invert(pc.is_in(wanted["series"], value_set=done)))
            if reach is None or wanted.num_rows == 0 or _is_all(session, bars, wanted, reach):
                break
    return state, signals


def _is_all(session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, wanted: pa.Table, reach: float) -> bool:
    """Whether no bar of any series is out of reach: those that are new have none, and young ones few."""
    oldest = session.sql("select min(ts) from bars").fetchall()[0][0]
    return pc.max(wanted["first_ts"]).as_py() - _length(wanted["interval"][0].as_py(), reach) <= oldest


def _length(interval: str, reach: float) -> timedelta:
    return timedelta(seconds=INTERVALS[interval] * _context_bars(interval) * reach)


def _context_bars(interval: str) -> int:
    return RANGE_BARS if interval == RANGE_INTERVAL else WINDOW_BARS


def _last_bars(
    session: duckdb.DuckDBPyConnection, bars: duckdb.DuckDBPyRelation, wanted: pa.Table, reach: float | None
) -> _LastBars:
    """The last bars of each series before its `first_ts` that its state comes of, less those that are out of reach."""
    interval = wanted["interval"][0].as_py()
    context_bars = _context_bars(interval)
    bound = {"interval": interval, "until": pc.max(wanted["first_ts"]).as_py()}
    within_reach = ""
    if reach is not None:
        length = _length(interval, reach)
        bound |= {"length": length, "since": pc.min(wanted["first_ts"]).as_py() - length}
        within_reach = "and bars.ts >= $since and bars.ts >= first_ts - $length"
    found = in_order_of_time(
        session.sql(
            f"""
            select series, bars.ts, {", ".join(NUMBERS)}
            from bars join wanted using (symbol, interval)
            where bars.interval = $interval and bars.ts < $until and bars.ts < first_ts {within_reach}
            """,
            params=bound,
        ).to_arrow_table()
    )
    series = found["series"].to_numpy()
    order = np.argsort(series, kind="stable")
    ends = np.flatnonzero(np.diff(series[order], append=-1))
    age = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(order))
    kept = found.take(pa.array(order[age < context_bars]))
    series = kept["series"].to_numpy()
    numbers = [kept[name].to_numpy() for name in NUMBERS]
    return _LastBars(series, kept["ts"], numbers, np.flatnonzero(np.diff(series, append=-1)))


def _carried(
    session: duckdb.DuckDBPyConnection, stored: duckdb.DuckDBPyRelation, wanted: pa.Table, found: _LastBars
) -> NDArray[np.float64]:
    """`RECURSIONS` and `COMPARED` as stored with each series' last bar, a row a series found; NaN where there is none yet."""
    place = pa.table({"series": found.series[found.last], "ts": found.ts.take(pa.array(found.last))})
    last = place.join(wanted.select(["series", "symbol", "interval"]), "series")
    bound = {} if last.num_rows == 0 else {"since": pc.min(last["ts"]).as_py(), "until": pc.max(last["ts"]).as_py()}
    between = "and stored.ts between $since and $until" if bound else ""
    names = (*RECURSIONS, *COMPARED)
    columns = ", ".join(f"stored.{name} as carried_{place}" for place, name in enumerate(names))
    rows = session.sql(
        f"select series, {columns} from last join stored using (symbol, interval, ts) where true {between} order by series",
        params=bound,
    ).to_arrow_table()
    if rows.num_rows < place.num_rows:
        raise MissingStateError(
            f"{place.num_rows - rows.num_rows} bars that are no news have no row in int_indicator: something took it away. "
            "Compute all models anew: `tickhouse build --full-refresh`"
        )
    values = (rows[f"carried_{place}"] for place in range(len(names)))
    return np.stack([column.cast(pa.float64()).fill_null(np.nan).to_numpy() for column in values], axis=1)


def _set(state: NDArray[np.float64], found: _LastBars, recursions: NDArray[np.float64], is_whole: NDArray[np.bool_]) -> None:
    """Set the states of the series that were found whole: from what was stored, or by all their bars where these are few."""
    is_long = is_whole & (recursions[:, 0] >= WINDOW_BARS)
    high, low, close, volume = found.numbers
    at = found.places(is_long, WINDOW_BARS)
    restore(found.series[at], close[at], volume[at], recursions[is_long], state)
    at = found.places(is_whole & ~is_long)
    advance(found.series[at], high[at], low[at], close[at], volume[at], state)


def _set_signals(
    signals: Signals, found: _LastBars, compared: NDArray[np.float64], is_whole: NDArray[np.bool_], *, has_range: bool
) -> None:
    high, low, close, _volume = found.numbers
    last = found.last[is_whole]
    signals.restore_sides(found.series[last], close[last], np.ascontiguousarray(compared[is_whole].T))
    if has_range:
        at = found.places(is_whole)
        signals.restore_ranges(found.series[at], high[at], low[at])
