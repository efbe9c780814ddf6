"""Feeds of bars in the order of time: files whose columns are recognised or mapped, the demo's sample, and made-up bars."""

from __future__ import annotations

from ingestion.sources.bars import FEED_SCHEMA, split_at
from ingestion.sources.feed import Feed, TableFeed
from ingestion.sources.file import FileOptions, open_file, read_bars
from ingestion.sources.mapping import SourceError, parse_mapping
from ingestion.sources.sample import SAMPLE_ROWS, read_sample
from ingestion.sources.synthetic import SyntheticFeed, bars_in

__all__ = [
    "FEED_SCHEMA",
    "SAMPLE_ROWS",
    "Feed",
    "FileOptions",
    "SourceError",
    "SyntheticFeed",
    "TableFeed",
    "bars_in",
    "open_file",
    "parse_mapping",
    "read_bars",
    "read_sample",
    "split_at",
]
