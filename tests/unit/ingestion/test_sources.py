from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ingestion.sources import (
    FEED_SCHEMA,
    SAMPLE_ROWS,
    FileOptions,
    SourceError,
    open_file,
    parse_mapping,
    read_bars,
    read_sample,
    split_at,
)

DATA = Path(__file__).parents[4] / "shared" / "data"
WriteCsv = Callable[..., Path]
HEADER = "symbol,ts,open,high,low,close,volume"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data beside this checkout")


@pytest.fixture
def csv(tmp_path: Path) -> WriteCsv:
    """Writes lines to a CSV file and gives its path."""

    def write(*lines: str, name: str = "feed.csv") -> Path:
        path = tmp_path / name
        text = "\n".join(lines) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def parquet(folder: Path, **columns: pa.Array) -> Path:
    size = len(next(iter(columns.values())))
    numbers = {name: pa.array([1.0] * size) for name in ("open", "high", "low", "close", "volume")}
    path = folder / "feed.parquet"
    pq.write_table(pa.table({"symbol": pa.array(["A"] * size), **numbers, **columns}), path)
    return path


def is_ordered(bars: pa.Table) -> bool:
    return bars.equals(bars.sort_by([("ts", "ascending"), ("symbol", "ascending")]))


def row(bars: pa.Table, symbol: str, day: date) -> dict[str, object]:
    midnight = pa.scalar(datetime(day.year, day.month, day.day, tzinfo=UTC), bars.schema.field("ts").type)
    (found,) = bars.filter(pc.and_(pc.equal(bars["symbol"], symbol), pc.equal(bars["ts"], midnight))).to_pylist()
    return found


def test_the_sample_is_five_stocks_in_the_order_of_time() -> None:
    bars = read_sample()
    assert bars.schema.equals(FEED_SCHEMA, check_metadata=True)
    assert bars.num_rows == SAMPLE_ROWS
    assert sorted(bars["symbol"].unique().to_pylist()) == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert bars["interval"].unique().to_pylist() == ["1d"]
    assert is_ordered(bars)
    assert row(bars, "AAPL", date(2000, 3, 1)) == {
        "symbol": "AAPL",
        "interval": "1d",
        "ts": datetime(2000, 3, 1, tzinfo=UTC),
        "open": 118.56,
        "high": 132.06,
        "low": 118.5,
        "close": 130.31,
        "adj_close": 4.186662803811,
        "volume": 9616100.0,
        "source": "bokeh-sampledata",
    }


@real_data
def test_the_sp500_set_keeps_its_gaps_and_its_impossible_bars() -> None:
    bars = read_bars(DATA / "sp500_daily_2013-2018.csv.gz")
    assert bars.num_rows == 619_040
    assert pc.count_distinct(bars["symbol"]).as_py() == 505
    assert {name: bars[name].null_count for name in ("open", "high", "low", "close", "volume")} == {
        "open": 11,
        "high": 8,
        "low": 8,
        "close": 0,
        "volume": 0,
    }
    assert is_ordered(bars)
    assert bars["source"].unique().to_pylist() == ["sp500_daily_2013-2018"]
    halted = row(bars, "DHR", date(2016, 1, 12))
    assert (halted["open"], halted["high"], halted["low"], halted["volume"]) == (None, None, None, 0.0)
    assert row(bars, "DHR", date(2015, 7, 17))["high"] is not None
    impossible = row(bars, "AOS", date(2014, 5, 19))
    assert impossible["high"] < impossible["low"]  # type: ignore[operator]


@real_data
def test_the_index_set_is_read_without_its_converted_price() -> None:
    bars = read_bars(DATA / "index_hsi_1986-2010.csv")
    assert bars.num_rows == 5_693
    assert bars["symbol"].unique().to_pylist() == ["HSI"]
    assert bars["interval"].unique().to_pylist() == ["1d"]
    assert pc.sum(pc.equal(bars["volume"], 0)).as_py() == 3_600
    assert bars["adj_close"].null_count == 0


@real_data
def test_minute_bars_with_gaps_of_days_are_told_to_be_minutes() -> None:
    bars = read_bars(DATA / "coinbase_minute_bars.parquet")
    assert bars.num_rows == 25_302
    assert bars["interval"].unique().to_pylist() == ["1m"]
    assert bars["adj_close"].null_count == bars.num_rows
    assert is_ordered(bars)


def test_bars_of_one_identity_keep_the_files_order(csv: WriteCsv) -> None:
    path = csv(HEADER, "A,2020-01-02,1,1,1,1,1", "A,2020-01-01,2,2,2,2,2", "A,2020-01-02,3,3,3,3,3", "A,2020-01-01,4,4,4,4,4")
    assert read_bars(path)["open"].to_pylist() == [2, 4, 1, 3]


def test_columns_without_a_field_are_kept_out_and_gaps_stay_gaps(csv: WriteCsv) -> None:
    path = csv(HEADER + ",mood", "A,2020-01-01,,NaN,NA,null,1,bad", "A,2020-01-02, 1.5 ,1e1,-1,0,1,good")
    bars = read_bars(path)
    assert bars.column_names == FEED_SCHEMA.names
    assert bars.slice(0, 1).select(["open", "high", "low", "close"]).to_pylist() == [
        dict.fromkeys(["open", "high", "low", "close"])
    ]
    assert bars["open"].to_pylist()[1] == 1.5


def test_what_the_caller_names_stands_in_every_bar(csv: WriteCsv) -> None:
    path = csv("day,o,h,l,c,v", "2020-01-01,1,1,1,1,1", name="feed.csv.gz")
    mapping = parse_mapping("ts=day,open=o,high=h,low=l,close=c,volume=v")
    (bar,) = read_bars(path, FileOptions(mapping, "HSI", "1w", "vendor")).to_pylist()
    assert (bar["symbol"], bar["interval"], bar["source"]) == ("HSI", "1w", "vendor")


def test_a_source_is_named_after_its_file(csv: WriteCsv) -> None:
    path = csv(HEADER, "A,2020-01-01,1,1,1,1,1", name="vendor.csv.gz")
    assert read_bars(path, FileOptions(interval="1d"))["source"].to_pylist() == ["vendor"]


def test_interval_and_source_of_the_file_are_kept(csv: WriteCsv) -> None:
    path = csv(HEADER + ",interval,source", "A,2020-01-01T10:00:00,1,1,1,1,1,1h,x", "A,2020-01-01T10:00:00,1,1,1,1,1,5m,y")
    bars = read_bars(path)
    assert bars["interval"].to_pylist() == ["1h", "5m"]
    assert bars["source"].to_pylist() == ["x", "y"]


@pytest.mark.parametrize(("minutes", "interval"), [(1, "1m"), (5, "5m"), (60, "1h"), (240, "4h"), (1440, "1d"), (10080, "1w")])
def test_the_interval_is_the_usual_distance_between_a_symbols_bars(csv: WriteCsv, minutes: int, interval: str) -> None:
    times = [datetime(2020, 1, 1) + timedelta(minutes=minutes * n) for n in (0, 1, 2, 3, 9)]
    lines = [f"{symbol},{time.isoformat()},1,1,1,1,1" for time in times for symbol in "BA"]
    assert read_bars(csv(HEADER, *lines))["interval"].unique().to_pylist() == [interval]


def test_an_interval_that_is_none_is_asked_for(csv: WriteCsv) -> None:
    with pytest.raises(SourceError, match=r"odd.csv: its bars are 420 s apart \(median\). Name it: --interval, one of 1m, 5m"):
        read_bars(csv(HEADER, "A,2020-01-01T10:00,1,1,1,1,1", "A,2020-01-01T10:07,1,1,1,1,1", name="odd.csv"))
    with pytest.raises(SourceError, match=r"no symbol has two bars"):
        read_bars(csv(HEADER, "A,2020-01-01,1,1,1,1,1", "B,2020-01-02,1,1,1,1,1"))
    with pytest.raises(SourceError, match=r"'2d' is not an interval"):
        read_bars(csv(HEADER, "A,2020-01-01,1,1,1,1,1"), FileOptions(interval="2d"))


@pytest.mark.parametrize("text", ["2020-01-02", "2020-01-02 16:00:00", "2020-01-02T23:30:00-05:00", "2020-01-02T00:00:00Z"])
def test_a_daily_bar_stands_at_midnight_of_its_date_as_written(csv: WriteCsv, text: str) -> None:
    bars = read_bars(csv(HEADER, f"A,{text},1,1,1,1,1"), FileOptions(interval="1d"))
    assert bars["ts"].to_pylist() == [datetime(2020, 1, 2, tzinfo=UTC)]


@pytest.mark.parametrize("text", ["2020-01-02T14:30:00", "2020-01-02 14:30", "2020-01-02T09:30:00-05:00", "2020-01-02T14:30:00Z"])
def test_a_minute_bar_stands_at_its_instant_in_utc(csv: WriteCsv, text: str) -> None:
    bars = read_bars(csv(HEADER, f"A,{text},1,1,1,1,1"), FileOptions(interval="1m"))
    assert bars["ts"].to_pylist() == [datetime(2020, 1, 2, 14, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([date(2020, 1, 2)]),
        pa.array(["2020-01-02"]).dictionary_encode(),
        pa.array([datetime(2020, 1, 2)], pa.timestamp("ns")),
        pa.array([datetime(2020, 1, 2, 5, tzinfo=UTC)], pa.timestamp("ms", tz="America/New_York")),
        pa.array([datetime(2020, 1, 2, tzinfo=timezone(timedelta(hours=-5)))], pa.timestamp("us", tz="-05:00")),
    ],
    ids=["date", "text", "no zone", "New York", "offset"],
)
def test_parquet_times_are_read_in_whatever_type_they_have(tmp_path: Path, times: pa.Array) -> None:
    assert read_bars(parquet(tmp_path, ts=times), FileOptions(interval="1d"))["ts"].to_pylist() == [
        datetime(2020, 1, 2, tzinfo=UTC)
    ]


def test_parquet_numbers_may_be_whole_or_not_be_there(tmp_path: Path) -> None:
    path = parquet(tmp_path, ts=pa.array(["2020-01-02"]), close=pa.array([7]), open=pa.array([float("nan")]))
    (bar,) = read_bars(path, FileOptions(interval="1d")).to_pylist()
    assert (bar["close"], bar["open"]) == (7.0, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A,2020-01-02,1,1,1,abc,1", "feed.csv, line 4, column close: 'abc' is not a number"),
        ("A,2020-01-02,1,1,1,inf,1", "feed.csv, line 4, column close: 'inf' is not a finite number"),
        ("A,2020-01-02,1,1,1,1,1_000", "feed.csv, line 4, column volume: '1_000' is not a number"),
        ("A,01/02/2020,1,1,1,1,1", "feed.csv, line 4, column ts: '01/02/2020' is not a time as ISO 8601 writes it"),
        ("A,,1,1,1,1,1", "feed.csv, line 4, column ts: None is empty"),
        (",2020-01-02,1,1,1,1,1", "feed.csv, line 4, column symbol: None is empty"),
        (" ,2020-01-02,1,1,1,1,1", "feed.csv, line 4, column symbol: '' is empty"),
        ("A,2020-01-02,1,1", "feed.csv cannot be read as CSV: .*Row #4: Expected 7 columns, got 4"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(csv: WriteCsv, line: str, message: str) -> None:
    path = csv(HEADER, "A,2020-01-01,1,1,1,1,1", "B,2020-01-01,1,1,1,1,1", line, "A,2020-01-03,1,1,1,1,1")
    with pytest.raises(SourceError, match=message):
        read_bars(path)


def test_a_column_is_named_as_the_file_names_it(csv: WriteCsv) -> None:
    with pytest.raises(SourceError, match=r"line 2, column Adj Close: 'x' is not a number"):
        read_bars(csv("Ticker,Date,Open,High,Low,Close,Volume,Adj Close", "A,2020-01-01,1,1,1,1,1,x"), FileOptions(interval="1d"))


def test_an_unknown_interval_in_the_file_is_named(csv: WriteCsv) -> None:
    with pytest.raises(SourceError, match=r"line 2, column interval: '2d' is not one of 1m, 5m"):
        read_bars(csv(HEADER + ",interval", "A,2020-01-01,1,1,1,1,1,2d"))


def test_a_parquet_column_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"feed.parquet, column ts: it is int64, and the bar's ts must be a time"):
        read_bars(parquet(tmp_path, ts=pa.array([1577836800])))
    with pytest.raises(SourceError, match=r"feed.parquet, row 2, column close: 'x' is not a number"):
        read_bars(parquet(tmp_path, ts=pa.array(["2020-01-01"] * 2), close=pa.array(["1", "x"])), FileOptions(interval="1d"))


def test_a_file_that_is_not_what_its_name_says_is_refused(csv: WriteCsv) -> None:
    with pytest.raises(SourceError, match=r"feed.parquet is not a Parquet file"):
        read_bars(csv(HEADER, name="feed.parquet"))
    with pytest.raises(SourceError, match=r"feed.csv cannot be read as CSV"):
        read_bars(csv("", name="feed.csv"))
    with pytest.raises(SourceError, match=r"feed.csv has no rows"):
        read_bars(csv(HEADER))
    broken = csv(HEADER, name="feed.csv.gz")
    broken.write_bytes(b"not gzip at all")
    with pytest.raises(SourceError, match=r"feed.csv.gz cannot be read as CSV"):
        read_bars(broken)


@pytest.mark.parametrize("read", [read_bars, open_file])
def test_the_first_few_bad_cells_are_told_and_all_are_counted(csv: WriteCsv, read: Callable[[Path], object]) -> None:
    good = [f"A,2020-01-01T{hour:02}:00,1,1,1,1,1" for hour in range(20)]
    bad = ["A,2020-01-02,x,1,1,1,1", "A,2020-01-03,1,inf,1,y,1", ",2020-01-04,1,1,1,1,z", "A,nie,1,1,1,1,1"]
    with pytest.raises(SourceError) as caught:
        read(csv(HEADER, *good, *bad))
    assert str(caught.value).splitlines() == [
        "feed.csv: 6 cells cannot be read; the first are",
        "  line 22, column open: 'x' is not a number",
        "  line 23, column close: 'y' is not a number",
        "  line 23, column high: 'inf' is not a finite number",
        "  line 24, column symbol: None is empty, and a bar must have it",
        "  line 24, column volume: 'z' is not a number",
    ]


def test_a_column_full_of_bad_cells_is_counted_up_to_a_point(csv: WriteCsv) -> None:
    with pytest.raises(
        SourceError, match=r"feed.csv: more than 1,000 cells cannot be read; the first are\n  line 2, column close"
    ):
        read_bars(csv(HEADER, *(f'A,2020-01-01T00:00:00.{row:06},1,1,1,"1,{row}",1' for row in range(3_000))))


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", r"bars \(\|\)")])
def test_another_separator_is_named(csv: WriteCsv, sign: str, name: str) -> None:
    with pytest.raises(SourceError, match=f"feed.csv parts its columns by {name}, .* Save it with commas"):
        read_bars(csv(HEADER.replace(",", sign), "A,2020-01-01,1,1,1,1,1".replace(",", sign)))


@pytest.mark.parametrize("symbol", ["", " "])
def test_a_symbol_that_is_empty_is_refused(symbol: str) -> None:
    with pytest.raises(SourceError, match="the symbol is empty"):
        FileOptions(symbol=symbol)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*nowhere.csv"):
        read_bars(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\nMüller,2020-01-01,1,1,1,1,1\n".encode("latin-1"),
        f"{HEADER},Größe\nA,2020-01-01,1,1,1,1,1,1\n".encode("latin-1"),
        f"{HEADER}\nA,2020-01-01,1,1,1,1,1\n".encode("utf-16"),
    ],
    ids=["cell", "header", "utf-16"],
)
@pytest.mark.parametrize("read", [read_bars, open_file])
def test_a_file_of_another_encoding_says_so_and_how_to_convert_it(
    tmp_path: Path, content: bytes, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"feed.csv is not written in UTF-8.*iconv"):
        read(path)


def test_a_feed_is_split_at_a_time_into_what_was_and_what_comes() -> None:
    bars = read_sample()
    at = datetime(2012, 3, 1, tzinfo=UTC)
    before, after = split_at(bars, at)
    assert pc.max(before["ts"]).as_py() < at <= pc.min(after["ts"]).as_py()
    assert pa.concat_tables([before, after]).equals(bars)
    with pytest.raises(ValueError, match=r"no time zone"):
        split_at(bars, datetime(2012, 3, 1))
