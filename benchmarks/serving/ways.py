"""Ways to read the newest bars of one symbol out of the same published files."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from apps.market import Selection, newest_bars
from tickhouse.storage import Storage
from transform.marts import FCT_INDICATOR
from transform.snapshot.manifest import Manifest
from transform.snapshot.read import SnapshotReader

LIMIT = 100
_NEWEST = "from (select * from {bars} where symbol = $symbol and interval = '1d' order by ts desc limit $limit) order by ts"

Read = Callable[[str], pa.Table]
"""The newest `LIMIT` bars of a symbol, oldest first."""


def mapped(reader: SnapshotReader) -> Read:
    """Ours, as the API asks."""

    def read(symbol: str) -> pa.Table:
        with reader.pin() as snapshot:
            assert snapshot is not None
            return newest_bars(snapshot, Selection(symbol, "1d"), LIMIT)

    return read


def in_sql(reader: SnapshotReader, *, picked: bool) -> Read:
    """Our SQL, over the files that may hold the symbol, or over all."""

    def read(symbol: str) -> pa.Table:
        with reader.pin() as snapshot:
            assert snapshot is not None
            asked = {"symbol": symbol, "limit": LIMIT}
            return snapshot.query(_NEWEST.format(bars=FCT_INDICATOR), asked, symbol=symbol if picked else None)

    return read


def connection_a_request(storage: Storage, manifest: Manifest) -> Read:
    """DuckDB as its users begin: a connection, and the folder's files."""
    folder = storage.local_path(manifest.marts[FCT_INDICATOR].files[0].key).parent

    def read(symbol: str) -> pa.Table:
        with duckdb.connect() as connection:
            sql = _NEWEST.format(bars=f"'{folder}/*.parquet'")
            return connection.sql(sql, params={"symbol": symbol, "limit": LIMIT}).to_arrow_table()

    return read


def dataset(storage: Storage, manifest: Manifest) -> Read:
    """pyarrow's dataset, opened once."""
    files = [str(storage.local_path(file.key)) for file in manifest.marts[FCT_INDICATOR].files]
    opened = ds.dataset(files)

    def read(symbol: str) -> pa.Table:
        found = opened.to_table(filter=(pc.field("symbol") == symbol) & (pc.field("interval") == "1d"))
        return found.sort_by("ts").slice(max(found.num_rows - LIMIT, 0))

    return read
