"""A file in the order of time is streamed, the same as if it were read whole; another is sorted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from ingestion.sources import FEED_SCHEMA, FileOptions, SourceError, SyntheticFeed, TableFeed, open_file, read_bars
from ingestion.sources.file import FileFeed

FEED = SyntheticFeed(symbols=300, bars=700, interval="5m")
COLUMNS = ["symbol", "ts", "open", "high", "low", "close", "volume"]


@pytest.fixture(scope="module")
def bars() -> pa.Table:
    return pa.concat_tables(FEED.pieces()).combine_chunks()


def write(folder: Path, bars: pa.Table, ending: str) -> Path:
    path = folder / f"synthetic.{ending}"
    if ending == "parquet":
        pq.write_table(bars.select(COLUMNS), path, row_group_size=50_000)
    else:
        pyarrow.csv.write_csv(bars.select(COLUMNS), path)
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_in_order_is_streamed_from_any_row_as_it_is_read_whole(tmp_path: Path, bars: pa.Table, ending: str) -> None:
    path = write(tmp_path, bars, ending)
    feed = open_file(path)
    assert isinstance(feed, FileFeed)
    assert (feed.rows, feed.interval) == (FEED.rows, "5m")
    pieces = list(feed.pieces())
    assert len(pieces) > 1
    whole = pa.concat_tables(pieces)
    assert whole.schema.equals(FEED_SCHEMA, check_metadata=True)
    assert whole.equals(bars)
    assert whole.equals(read_bars(path))
    for row in (1, 65_536, 100_001, FEED.rows - 1):
        assert pa.concat_tables(feed.pieces(row)).equals(bars.slice(row))
    assert list(feed.pieces(FEED.rows)) == []


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_out_of_order_is_sorted_and_that_is_told(tmp_path: Path, bars: pa.Table, ending: str) -> None:
    by_symbol = bars.sort_by([("symbol", "ascending"), ("ts", "ascending")])
    late = pa.concat_tables([bars.slice(1), bars.slice(0, 1)])
    for shuffled in (by_symbol, late):
        with capture_logs() as logs:
            feed = open_file(write(tmp_path, shuffled, ending))
        assert isinstance(feed, TableFeed)
        assert feed.bars.equals(bars)
        assert [entry["event"] for entry in logs] == ["not ordered by (ts, symbol): it is read into memory and sorted"]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("options", [FileOptions(), FileOptions(interval="5m")], ids=["inferred", "given"])
@pytest.mark.parametrize(
    ("rows", "times", "refusal"),
    [(0, None, "has no rows"), (1, None, "no symbol has two bars"), (9, "someday", "9 cells cannot be read")],
)
def test_of_a_file_that_is_not_out_of_order_nothing_else_is_told(
    tmp_path: Path, bars: pa.Table, ending: str, options: FileOptions, rows: int, times: str | None, refusal: str
) -> None:
    table = bars.slice(0, rows)
    if times is not None:
        table = table.set_column(table.schema.get_field_index("ts"), "ts", pa.array([times] * rows))
    path = write(tmp_path, table, ending)
    with capture_logs() as logs:
        if rows == 1 and options.interval:
            assert isinstance(open_file(path, options), FileFeed)
        else:
            with pytest.raises(SourceError, match=refusal):
                open_file(path, options)
    assert logs == []


def test_bars_of_one_time_may_lie_in_two_pieces(tmp_path: Path) -> None:
    symbols = [f"S{number:06}" for number in range(200_000)]
    ones = pa.array([1.0] * len(symbols))
    times = pa.array([0] * len(symbols), pa.timestamp("us"))
    table = pa.table([pa.array(symbols), times, *[ones] * 5], names=COLUMNS)
    pq.write_table(table, tmp_path / "one.parquet")
    assert isinstance(open_file(tmp_path / "one.parquet", FileOptions(interval="1m")), FileFeed)
    pq.write_table(pa.concat_tables([table.slice(100_000), table.slice(0, 100_000)]), tmp_path / "two.parquet")
    assert isinstance(open_file(tmp_path / "two.parquet", FileOptions(interval="1m")), TableFeed)


def test_a_feed_is_another_when_its_bytes_or_the_way_they_are_read_are(tmp_path: Path, bars: pa.Table) -> None:
    path = write(tmp_path, bars, "parquet")
    identity = open_file(path).identity()
    assert open_file(path).identity() == identity
    assert open_file(path, FileOptions(source="other")).identity() != identity
    assert open_file(path, FileOptions(mapping={"open": "close"})).identity() != identity
    assert open_file(path, FileOptions(interval="1d")).identity() != identity
    assert open_file(write(tmp_path, bars.slice(0, 100_000), "parquet")).identity() != identity


def test_a_file_is_streamed_in_memory_that_does_not_grow_with_it(tmp_path: Path) -> None:
    """Measured in processes of their own: Arrow's memory and Python's, whoever took it."""
    peaks = {}
    for bars in (200, 2_000):
        path = tmp_path / f"{bars}.parquet"
        schema = pa.schema([FEED_SCHEMA.field(name) for name in COLUMNS])
        with pq.ParquetWriter(path, schema) as writer:
            for piece in SyntheticFeed(symbols=1_000, bars=bars).pieces():
                writer.write_table(piece.select(COLUMNS))
        peaks[bars] = peak_memory_of_reading(path)
    assert peaks[2_000] < peaks[200] + 60e6, peaks


def peak_memory_of_reading(path: Path) -> float:
    program = (
        "import resource, sys; from pathlib import Path; from ingestion.sources import open_file\n"
        "feed = open_file(Path(sys.argv[1])); assert sum(piece.num_rows for piece in feed.pieces()) == feed.rows\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    finished = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    return float(finished.stdout)
