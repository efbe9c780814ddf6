"""DuckDB's COPY of both marts, whole, each time."""

from __future__ import annotations

import duckdb

from benchmarks.measuring.meter import Meter, peak_bytes
from benchmarks.publishing.work import MARTS, MEBIBYTE, Export

if __name__ == "__main__":
    work, meter = Export.from_arguments(), Meter()
    connection = duckdb.connect(str(work.database))
    connection.execute("set TimeZone = 'UTC'")
    work.folder.mkdir(parents=True, exist_ok=True)
    rows = 0
    meter.start()
    for mart in MARTS:
        if work.is_partitioned:
            copied = f"copy (select *, year(ts) as year from {mart}) to '{work.folder}/{mart}'"
            sql = f"{copied} (format parquet, partition_by (year), overwrite_or_ignore)"
        else:
            sql = f"copy (select * from {mart} order by symbol, interval, ts) to '{work.folder}/{mart}.parquet' (format parquet)"
        rows += connection.execute(sql).fetchall()[0][0]
    meter.stop()
    size = sum(path.stat().st_size for path in work.folder.rglob("*.parquet"))
    figures = {"seconds": meter.seconds, "MB written": size / 1e6, "MiB at most": peak_bytes() / MEBIBYTE}
    meter.answer(rows, figures, of="row")
