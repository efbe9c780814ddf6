"""What is computed from the first changed bar on equals what is computed anew, cell by cell and to the bit."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhouse.bar import INTERVALS
from transform.indicators import refresh
from transform.indicators.context import MissingStateError
from transform.indicators.incremental import changed_indicators
from transform.indicators.refresh import all_indicators
from transform.indicators.rows import INDICATOR_SCHEMA

Batch = list[tuple[str, str, int, float, float]]
"""Symbol, interval, place in the series of all times, close, volume."""

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
BARS = """create table bars (symbol varchar, interval varchar, ts timestamptz, basis_high double, basis_low double,
    basis_close double, volume double, change_seq bigint, primary key (symbol, interval, ts))"""


def at(interval: str, place: int) -> datetime:
    return BEGIN + timedelta(seconds=INTERVALS[interval] * place)


class Warehouse:
    """`int_bar` and `int_indicator` in memory, and a build that brings the second up to the first."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("set TimeZone = 'UTC'")
        self.connection.execute(BARS)
        self.connection.register("nothing", INDICATOR_SCHEMA.empty_table())
        self.connection.execute("create table stored as from nothing")
        self.builds = 0

    def take(self, batch: Batch) -> None:
        """Land bars; the later of two with one identity wins."""
        newest = {bar[:3]: bar for bar in batch}.values()
        rows = [(symbol, interval, at(interval, place), close, volume) for symbol, interval, place, close, volume in newest]
        names = ["symbol", "interval", "ts", "close", "volume"]
        taken = pa.table([list(column) for column in zip(*rows, strict=True)], names)
        self.connection.register("taken", taken)
        self.connection.execute(
            "insert or replace into bars select symbol, interval, ts, close * 1.25, close * 0.75, close, volume, ? from taken",
            [self.builds + 1],
        )

    def build(self) -> pa.Table:
        """The rows that were written."""
        self.builds += 1
        tables = self.connection.table("bars"), self.connection.table("stored")
        rows = changed_indicators(self.connection, *tables, self.builds)
        self.connection.execute(
            "delete from stored using rows as r where (stored.symbol, stored.interval, stored.ts) = (r.symbol, r.interval, r.ts)"
        )
        self.connection.execute("insert into stored from rows")
        return rows

    def stored(self) -> list[tuple[object, ...]]:
        return self._cells(self.connection.sql("from stored").to_arrow_table())

    def anew(self) -> list[tuple[object, ...]]:
        return self._cells(all_indicators(self.connection, self.connection.table("bars"), 0).read_all())

    def _cells(self, rows: pa.Table) -> list[tuple[object, ...]]:
        """Every cell but `change_seq`; Python's floats compare to the bit, and no value here is NaN or a zero with a sign."""
        ordered = rows.drop_columns("change_seq").sort_by(
            [("symbol", "ascending"), ("interval", "ascending"), ("ts", "ascending")]
        )
        return [tuple(row.values()) for row in ordered.to_pylist()]


prices = st.one_of(st.floats(1, 1000), st.integers(95, 105).map(float), st.just(100.0))
series = st.tuples(st.sampled_from(["A", "B", "C"]), st.sampled_from(["1m", "1h", "1d"]))


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    """Appends after gaps short and long, late bars, corrections, repeats, and series that begin late or stay short."""
    ends: dict[tuple[str, str], int] = {}
    sequence = []
    for _ in range(draw(st.integers(1, 6))):
        batch = []
        for symbol, interval in draw(st.lists(series, min_size=1, max_size=4)):
            end = ends.get((symbol, interval), 0)
            if end and draw(st.booleans()):
                places = [draw(st.integers(0, end)) for _ in range(draw(st.integers(1, 3)))]  # late, or a correction
            else:
                begin = end + draw(st.sampled_from([0, 0, 1, 100, 700, 6_000]))
                places = list(range(begin, begin + draw(st.sampled_from([1, 2, 15, 60, 260]))))
            values = draw(st.lists(st.tuples(prices, st.floats(0, 1e9)), min_size=len(places), max_size=len(places)))
            batch += [(symbol, interval, place, *value) for place, value in zip(places, values, strict=True)]
            ends[symbol, interval] = max(end, places[-1] + 1)
        sequence.append(batch)
    return sequence


@settings(max_examples=40)
@given(batches(), st.sets(st.integers(0, 5)))
def test_any_sequence_of_batches_gives_what_all_of_it_gives_at_once(sequence: list[Batch], killed: set[int]) -> None:
    warehouse = Warehouse()
    for number, batch in enumerate(sequence):
        warehouse.take(batch)
        if number not in killed:  # a build that ended before this model leaves it to the next
            warehouse.build()
    warehouse.build()
    assert warehouse.stored() == warehouse.anew()
    assert warehouse.build().num_rows == 0


def bars_of(symbol: str, interval: str, places: range) -> Batch:
    return [(symbol, interval, place, 100 + place % 7 + place / 64, 10.0 * place) for place in places]


@pytest.mark.parametrize("silence", [0, 40, 400, 4_000, 400_000])
def test_a_series_goes_on_after_any_silence_as_if_there_were_none(silence: int) -> None:
    warehouse = Warehouse()
    warehouse.take(bars_of("A", "1m", range(80)) + bars_of("SHORT", "1m", range(5)) + bars_of("OTHER", "1d", range(60)))
    warehouse.build()
    later = range(80 + silence, 83 + silence)
    warehouse.take(bars_of("A", "1m", later) + bars_of("SHORT", "1m", later) + bars_of("NEW", "1m", later))
    assert warehouse.build().num_rows == 9
    assert warehouse.stored() == warehouse.anew()


def test_only_what_follows_a_correction_is_written_again() -> None:
    warehouse = Warehouse()
    warehouse.take(bars_of("A", "1d", range(300)) + bars_of("B", "1d", range(300)))
    warehouse.build()
    warehouse.take([("A", "1d", 250, 7.0, 7.0)])
    rows = warehouse.build()
    assert set(rows["symbol"].to_pylist()) == {"A"}
    assert sorted(rows["ts"].to_pylist()) == [at("1d", place) for place in range(250, 300)]
    assert warehouse.stored() == warehouse.anew()


def test_a_bar_without_its_stored_row_is_an_error_that_says_what_to_do() -> None:
    warehouse = Warehouse()
    warehouse.take(bars_of("A", "1d", range(100)))
    warehouse.build()
    warehouse.connection.execute("delete from stored where ts = ?", [at("1d", 99)])
    warehouse.take(bars_of("A", "1d", range(100, 101)))
    with pytest.raises(MissingStateError, match=r"1 bars.*int_indicator.*tickhouse build"):
        warehouse.build()


def test_chunks_and_row_groups_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse()
    bars = [bar for symbol, end in (("A", 200), ("B", 90), ("C", 3)) for bar in bars_of(symbol, "1h", range(end))]
    random.Random(5).shuffle(bars)  # a table in no order at all
    warehouse.take(bars)
    expected = warehouse.anew()
    for rows in (1, 7, 50, 1_000):
        monkeypatch.setattr(refresh, "CHUNK_ROWS", rows)
        monkeypatch.setattr(refresh, "ROW_GROUP_ROWS", 1_001 - rows)
        assert warehouse.anew() == expected
