"""Feeds of bars in the order of time: files whose columns are recognised or mapped, the demo's sample, and made-up bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from ingestion.sources.bars import FEED_SCHEMA, make_bars, split_at
from ingestion.sources.csv import read_csv
from ingestion.sources.feed import Feed, TableFeed
from ingestion.sources.mapping import SourceError, parse_mapping
from ingestion.sources.parquet import read_parquet
from ingestion.sources.sample import SAMPLE_ROWS, read_sample
from ingestion.sources.synthetic import SyntheticFeed, bars_in

__all__ = [
    "FEED_SCHEMA",
    "SAMPLE_ROWS",
    "Feed",
    "SourceError",
    "SyntheticFeed",
    "TableFeed",
    "bars_in",
    "parse_mapping",
    "read_bars",
    "read_sample",
    "split_at",
]


def read_bars(
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    source: str | None = None,
) -> pa.Table:
    """The bars of a CSV file (also compressed) or a `.parquet` one, in `FEED_SCHEMA`, ordered by (ts, symbol).

    `mapping` is bar field → column, for columns that are not recognised (`parse_mapping` reads one from text); `symbol`
    is for a file that has no such column. `interval` is inferred and `source` is the file's name without its ending,
    unless given. Raises SourceError when the file cannot be read as bars, FileNotFoundError when there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    read = read_parquet if path.suffix in (".parquet", ".pq") else read_csv
    return make_bars(read(path, mapping=mapping, symbol=symbol), symbol=symbol, interval=interval, source=source)
