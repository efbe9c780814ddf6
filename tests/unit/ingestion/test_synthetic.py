from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.encode import encode_bars
from ingestion.sources import FEED_SCHEMA, SourceError, SyntheticFeed, bars_in
from ingestion.sources.feed import PIECE_ROWS
from tickhouse.bar import INTERVALS

FIRST = {"open": 63.8, "high": 63.82, "low": 63.77, "close": 63.79, "volume": 2916.0}
LAST = {"open": 103.41, "high": 103.48, "low": 103.4, "close": 103.44, "volume": 386.0}


def whole(feed: SyntheticFeed, first_row: int = 0) -> pa.Table:
    return pa.concat_tables(feed.pieces(first_row))


def grid(feed: SyntheticFeed, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One row a time, one column a symbol."""
    return whole(feed)[column].to_numpy().reshape(feed.bars, feed.symbols)


def test_the_same_seed_gives_the_same_bars_and_another_seed_others() -> None:
    feed = SyntheticFeed(symbols=7, bars=30, seed=3)
    assert whole(feed).equals(whole(SyntheticFeed(symbols=7, bars=30, seed=3)))
    assert not whole(feed)["close"].equals(whole(SyntheticFeed(symbols=7, bars=30, seed=4))["close"])


def test_the_bars_of_a_seed_are_the_ones_they_always_were() -> None:
    """A resumed replay relies on it: a change of these numbers needs another `_FORMAT`."""
    first, *_, last = whole(SyntheticFeed(symbols=3, bars=40_000, seed=42)).to_pylist()
    assert first == {
        "symbol": "SYN0000",
        "interval": "1m",
        "ts": datetime(2000, 1, 3, tzinfo=UTC),
        "adj_close": None,
        "source": "synthetic",
        **FIRST,
    }
    assert (last["symbol"], last["ts"]) == ("SYN0002", datetime(2000, 1, 30, 18, 39, tzinfo=UTC))
    assert {name: last[name] for name in LAST} == LAST


@given(
    st.builds(
        SyntheticFeed,
        symbols=st.integers(1, 40),
        bars=st.integers(1, 60),
        interval=st.sampled_from(list(INTERVALS)),
        seed=st.integers(0, 2**64),
        start=st.just(datetime(1998, 1, 5, tzinfo=UTC)),
        drift=st.floats(-10, 10),
        volatility=st.floats(0.001, 10),
    )
)
@settings(max_examples=50)
def test_every_bar_is_one_that_validation_lets_pass(feed: SyntheticFeed) -> None:
    bars = whole(feed)
    assert bars.num_rows == feed.rows
    assert bars.schema.equals(FEED_SCHEMA, check_metadata=True)
    assert bars.equals(bars.sort_by([("ts", "ascending"), ("symbol", "ascending")]))
    columns = {name: bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    assert (columns["low"] >= 0.01).all()
    for price in ("open", "close"):
        assert (columns[price] <= columns["high"]).all()
        assert (columns[price] >= columns["low"]).all()
        assert (columns[price] == np.round(columns[price], 2)).all()
    assert (columns["volume"] >= 0).all()
    assert (columns["volume"] == np.rint(columns["volume"])).all()


def test_each_symbol_has_a_bar_at_every_time_without_a_gap() -> None:
    feed = SyntheticFeed(symbols=3, bars=400, interval="5m", start=datetime(2020, 2, 28, tzinfo=UTC))
    times = whole(feed)["ts"].to_pylist()
    assert times == [feed.start + timedelta(minutes=5 * bar) for bar in range(400) for _ in range(3)]


@pytest.mark.parametrize("symbols", [1, 9_999, PIECE_ROWS + 1])
def test_a_feed_is_read_on_from_any_row(symbols: int) -> None:
    feed = SyntheticFeed(symbols=symbols, bars=max(3, 150_000 // symbols))
    bars = whole(feed)
    for row in (0, 1, feed.rows // 2, PIECE_ROWS, feed.rows - 1):
        assert whole(feed, row).equals(bars.slice(row))
    assert list(feed.pieces(feed.rows)) == []


def test_a_year_moves_as_much_as_it_is_told_to_whatever_the_interval() -> None:
    for interval, bars in (("1d", 365), ("1h", 365 * 24)):
        closes = np.log(grid(SyntheticFeed(symbols=400, interval=interval, bars=bars, volatility=0.3, drift=0.2), "close"))
        years = closes[-1] - closes[0]
        assert np.std(years) == pytest.approx(0.3, rel=0.15)
        assert np.mean(np.exp(years)) == pytest.approx(np.exp(0.2), rel=0.05)


def test_a_bar_opens_near_the_close_before_it() -> None:
    feed = SyntheticFeed(symbols=200, bars=300, interval="1h")
    gaps = grid(feed, "open")[1:] / grid(feed, "close")[:-1] - 1
    moves = grid(feed, "close")[1:] / grid(feed, "close")[:-1] - 1
    assert np.std(gaps) < 0.2 * np.std(moves)
    assert np.any(gaps != 0)


def test_memory_does_not_grow_with_the_feeds_length() -> None:
    feed = SyntheticFeed(symbols=5_000, bars=10_000_000 // 5_000)
    pieces = feed.pieces()
    next(pieces)
    tracemalloc.start()  # of Python and NumPy; Arrow's columns are NumPy's memory, or of one piece
    for _ in range(4):
        assert next(pieces).num_rows <= PIECE_ROWS
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_its_bars_can_be_encoded() -> None:
    keys, values = encode_bars(whole(SyntheticFeed(symbols=2, bars=1)))
    assert keys.to_pylist() == [b"SYN0000", b"SYN0001"]
    assert values[0].as_py().startswith(b'{"symbol":"SYN0000","interval":"1m","ts":"2000-01-03T00:00:00Z","open":')


def test_symbols_stay_in_order_however_many_there_are() -> None:
    names = whole(SyntheticFeed(symbols=10_001, bars=1))["symbol"]
    assert names[0].as_py() == "SYN00000"
    assert pc.all(pc.less(names.slice(0, 10_000), names.slice(1))).as_py()


@pytest.mark.parametrize("changed", ["symbols", "interval", "bars", "seed", "start", "drift", "volatility"])
def test_other_arguments_are_another_feed(changed: str) -> None:
    other = {"symbols": 5, "interval": "5m", "bars": 9, "seed": 1, "start": datetime(2001, 1, 1, tzinfo=UTC), "drift": 0.0}
    feed = SyntheticFeed(**{changed: {**other, "volatility": 0.1}[changed]})  # type: ignore[arg-type]
    assert feed.identity() != SyntheticFeed().identity() == SyntheticFeed().identity()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "2m"}, "'2m' is not an interval; they are 1m, 5m"),
        ({"symbols": 0}, "at least one symbol"),
        ({"bars": 0}, "at least one symbol and one bar"),
        ({"seed": -1}, "a seed of 0 or more"),
        ({"volatility": 0}, "volatility above 0 and up to 10"),
        ({"drift": float("nan")}, "drift from -10 to 10"),
        ({"start": datetime(2000, 1, 1)}, "no time zone"),
        ({"start": datetime(2000, 1, 1, 9, tzinfo=UTC), "interval": "1d"}, "bars of 1d start at whole multiples"),
        ({"bars": 10_000_000, "interval": "1w"}, "10,000,000 bars of 1w from 2000-01-03 on end after 2200"),
    ],
)
def test_arguments_that_make_no_feed_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        SyntheticFeed(**arguments)


def test_days_are_as_many_bars_as_begin_in_them() -> None:
    assert (bars_in(1, "1m"), bars_in(0.5, "1h"), bars_in(10, "1w"), bars_in(365, "1d")) == (1_440, 12, 2, 365)
    with pytest.raises(SourceError, match="'2m' is not an interval"):
        bars_in(1, "2m")
