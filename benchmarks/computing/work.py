"""What every way of computing is told, and how it answers; DuckDB alone, for environments that have no more."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.measuring.meter import Arguments, Meter, peak_bytes

FULL, NEWEST, CORRECTED = "full", "newest", "corrected"
"""Steps: everything anew; one new bar for each symbol; corrected bars, and all that follow from them."""

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Work(Arguments):
    """Bring the indicators of `int_bar` in a DuckDB file up to date, in one transaction.

    A full step makes `table`, which is not there; the others replace in it what the bars of build `change_seq` changed.
    """

    database: Path
    table: str
    step: str
    change_seq: int


def open_database(work: Work) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(work.database))
    connection.execute("set TimeZone = 'UTC'")
    return connection


def answer(connection: duckdb.DuckDBPyConnection, meter: Meter, rows: int) -> None:
    """Print the figures of a stopped meter. Closing the file writes what a small transaction left in its log."""
    stopped = time.perf_counter()
    connection.close()
    closing = time.perf_counter() - stopped
    more = {"seconds": meter.seconds, "seconds to close": closing, "MiB at most": peak_bytes() / MEBIBYTE, "rows": rows}
    meter.answer(rows, more, of="row")
