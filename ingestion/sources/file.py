"""Files as feeds: streamed where they are in the order of time already, read whole and sorted where they are not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import structlog

from ingestion.sources.bad_cells import BadCellsError
from ingestion.sources.bars import infer_interval, is_ordered, make_bars, read_rows, read_symbols
from ingestion.sources.columns import FileColumns
from ingestion.sources.csv import CsvFile, open_csv
from ingestion.sources.feed import Feed, TableFeed
from ingestion.sources.mapping import SourceError
from ingestion.sources.parquet import ParquetFile, open_parquet

INFERRED_FROM_ROWS = 200_000
"""A streamed file's interval is inferred from so many of its first bars."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class FileOptions:
    """What the caller says of a file.

    `mapping` is bar field → column, for columns that are not recognised (`parse_mapping` reads one from text); `symbol`
    is for a file that has no such column. `interval` is inferred and `source` is the file's name without its ending,
    unless given. Raises SourceError for an empty symbol.
    """

    mapping: Mapping[str, str] | None = None
    symbol: str | None = None
    interval: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.symbol is not None and not self.symbol.strip():
            raise SourceError("the symbol is empty, and a bar must have one: --symbol <symbol>")


@dataclass(frozen=True)
class FileFeed:
    """A file in the order of (ts, symbol), read piece by piece each time it is asked for. `interval` None is the file's own."""

    file: CsvFile | ParquetFile
    options: FileOptions
    interval: str | None
    rows: int

    def pieces(self, first_row: int = 0) -> Iterator[pa.Table]:
        """Tables of some 65,000 bars. What is before `first_row` is read and left out."""
        row = 0
        for columns in self.file.batches():
            if row + columns.rows > first_row:
                yield _rows(columns, self.options, self.interval).slice(max(first_row - row, 0))
            row += columns.rows

    def identity(self) -> str:
        """A digest of the file's bytes and of how they are read."""
        with self.file.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(repr((sorted(self.file.mapping.items()), self.options.symbol, self.interval, self.options.source)).encode())
        digest.update(self.file.path.name.encode())  # the source, where nobody says another
        return f"file-{digest.hexdigest()}"


def open_file(path: Path, options: FileOptions | None = None) -> Feed:
    """A CSV file (also compressed) or a `.parquet` one as a feed, in bounded memory if it is ordered by (ts, symbol).

    The whole file is looked at once before, so one that cannot be read is refused before anything of it is sent. One that
    is not in order is read into memory, some 150 bytes a bar, and sorted. Raises as `read_bars` does.
    """
    options = options or FileOptions()
    file = _open(path, options)
    interval = options.interval or _inferred(file, options)
    rows = None if interval is None and "interval" not in file.mapping else _count_if_ordered(file, options, interval)
    if rows is not None:
        return FileFeed(file, options, interval, rows)
    log.info("not ordered by (ts, symbol): it is read into memory and sorted", file=path.name)
    return TableFeed(_sorted(file, options))


def read_bars(path: Path, options: FileOptions | None = None) -> pa.Table:
    """All bars of a file in `FEED_SCHEMA`, ordered by (ts, symbol).

    Raises SourceError when there is no such file, or it cannot be read as bars.
    """
    options = options or FileOptions()
    return _sorted(_open(path, options), options)


def _open(path: Path, options: FileOptions) -> CsvFile | ParquetFile:
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    open_it = open_parquet if path.suffix in (".parquet", ".pq") else open_csv
    return open_it(path, mapping=options.mapping, symbol=options.symbol)


def _sorted(file: CsvFile | ParquetFile, options: FileOptions) -> pa.Table:
    return make_bars(file.read(), symbol=options.symbol, interval=options.interval, source=options.source)


def _rows(columns: FileColumns, options: FileOptions, interval: str | None) -> pa.Table:
    return read_rows(columns, symbol=options.symbol, interval=interval, source=options.source)


def _inferred(file: CsvFile | ParquetFile, options: FileOptions) -> str | None:
    """The interval of the first bars. None when the file says it itself, or they are out of order.

    Raises SourceError for a file that has no rows or whose interval cannot be told, and for all its bad cells.
    """
    if "interval" in file.mapping:
        return None
    heads, rows = [], 0
    for columns in file.batches():
        heads.append(pa.table({"symbol": read_symbols(columns, options.symbol), "ts": columns.instants("ts")}))
        rows += columns.rows
        if columns.bad or rows >= INFERRED_FROM_ROWS:
            break
    if rows == 0 or columns.bad:
        _sorted(file, options)  # it raises: for all that is wrong, and not for what was looked at so far
    if not is_ordered(head := pa.concat_tables(heads).combine_chunks()):
        return None
    return infer_interval(head["symbol"].combine_chunks(), head["ts"].combine_chunks(), file.path.name)


def _count_if_ordered(file: CsvFile | ParquetFile, options: FileOptions, interval: str | None) -> int | None:
    """How many bars a file has that is in order, None for one that is not. Raises SourceError for its bad cells, or no rows."""
    rows, last, bad = 0, None, None
    for columns in file.batches():
        if columns.rows == 0:
            continue
        bad = columns.bad
        try:
            keys = _rows(columns, options, interval).select(["ts", "symbol"])
        except BadCellsError:  # gone on with for the count of them
            continue
        if not is_ordered(keys if last is None else pa.concat_tables([last, keys])):
            return None
        rows, last = rows + keys.num_rows, keys.slice(keys.num_rows - 1)
    if bad is not None:
        bad.refuse()
    if rows == 0:
        raise SourceError(f"{file.path.name} has no rows")
    return rows
