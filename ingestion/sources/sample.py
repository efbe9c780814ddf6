"""The demo's feed: the daily bars that the `bokeh-sampledata` package ships."""

from __future__ import annotations

from importlib.resources import as_file, files

import pyarrow as pa

from ingestion.sources.bars import make_bars
from ingestion.sources.csv import open_csv

SAMPLE_SOURCE = "bokeh-sampledata"
SAMPLE_ROWS = 12_154


def read_sample() -> pa.Table:
    """AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01: 12,154 daily bars in `FEED_SCHEMA`, ordered by (ts, symbol)."""
    with as_file(files("bokeh_sampledata") / "_data" / "stocks.csv.gz") as path:
        return make_bars(open_csv(path).read(), interval="1d", source=SAMPLE_SOURCE)
