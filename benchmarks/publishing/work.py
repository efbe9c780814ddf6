"""What every way of publishing is told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.meter import Arguments

PYTHON = sys.executable
MEBIBYTE = 1024 * 1024
MARTS = ("fct_indicator", "fct_alert")


@dataclass(frozen=True)
class Export(Arguments):
    """Write the marts of a DuckDB file to Parquet files in `folder`, in files of a year each where `is_partitioned` is 1."""

    database: Path
    folder: Path
    is_partitioned: int
