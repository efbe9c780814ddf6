"""Where every landed bar is, counted anew from the lake: without the warehouse, dbt, or what a manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from transform.snapshot.manifest import Balance

MEMORY = "1GB"
"""What DuckDB may take; beyond it goes to a file beside the warehouse."""

_AT_ONCE = 200_000
_SLOTS_AT_ONCE = 5_000
_SHOWN = 5

_TABLE = """
create table offered (
    begun_at timestamptz, topic_id varchar, partition integer, "offset" bigint,
    symbol varchar, interval varchar, ts timestamptz,
    origin_topic_id varchar, origin_partition integer, origin_offset bigint
)
"""

_COUNTED = """
create table current_bar as
with replayed as (
    select distinct origin_topic_id, origin_partition, origin_offset from offered where origin_topic_id is not null
),
-- Of what came from one place, as a replayed dead letter and perhaps replayed again, only the first counts.
from_one_place as (
    select topic_id, partition, "offset", row_number() over (
        partition by replayed.origin_topic_id, replayed.origin_partition, replayed.origin_offset
        order by begun_at, partition, "offset"
    ) as nth
    from replayed
    inner join offered
        on replayed.origin_topic_id = coalesce(offered.origin_topic_id, offered.topic_id)
        and replayed.origin_partition = coalesce(offered.origin_partition, offered.partition)
        and replayed.origin_offset = coalesce(offered.origin_offset, offered."offset")
)
select distinct symbol, interval, ts
from offered
where not exists (
    select 1 from from_one_place as other
    where
        nth > 1 and other.topic_id = offered.topic_id
        and other.partition = offered.partition and other."offset" = offered."offset"
)
"""


@dataclass(frozen=True)
class Difference:
    """Bars that are on one side only: how many, and a few of them."""

    bars: int
    some: str


class Recount:
    """The bars that validation let through, and which identities are among them. Disk: some 30 bytes a bar while it runs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(_TABLE)
        self._pending: list[pa.Table] = []
        self._rows = self._offered = self._landed = 0

    def add(self, offered: pa.Table, landed: int, begun_at: datetime | None) -> None:
        """Take what validation offers of a slot's `landed` bars, in `LANDED_SCHEMA`; `begun_at` (UTC) is its topic's."""
        times = pa.repeat(pa.scalar(begun_at, pa.timestamp("us", "UTC")), offered.num_rows)
        self._pending.append(offered.append_column("begun_at", times).select(_NAMES))
        self._rows += offered.num_rows
        self._landed += landed
        if self._rows >= _AT_ONCE or len(self._pending) >= _SLOTS_AT_ONCE:
            self._flush()

    def balance(self) -> Balance:
        """Where the bars are, each current, superseded or quarantined. Nothing can be added after."""
        self._flush()
        self._connection.execute(_COUNTED)
        current = self._connection.execute("select count(*) from current_bar").fetchall()[0][0]
        quarantined = self._landed - self._offered
        return Balance(landed=self._landed, current=current, superseded=self._offered - current, quarantined=quarantined)

    def compare(self, paths: Sequence[Path]) -> tuple[int, Difference, Difference]:
        """What the files of `fct_indicator` hold as landed: how many bars, which the lake has besides, and which it has not.

        Raises duckdb.Error when a file cannot be read.
        """
        published = self._connection.read_parquet([str(path) for path in paths])
        if "derived_from" in published.columns:  # else it was published before bars were derived
            published = published.filter("derived_from is null")
        published.project("symbol, interval, ts").create("published")
        rows = self._connection.execute("select count(*) from published").fetchall()[0][0]
        return rows, self._only("current_bar", "published"), self._only("published", "current_bar")

    def _only(self, one: str, other: str) -> Difference:
        shown = self._connection.execute(
            f"select count(*) over (), symbol, interval, ts::varchar from (select * from {one} except select * from {other}) "
            "order by all limit ?",
            [_SHOWN],
        ).fetchall()
        return Difference(shown[0][0] if shown else 0, "; ".join(" ".join(row[1:]) for row in shown))

    def _flush(self) -> None:
        if self._pending:
            batch = pa.concat_tables(self._pending)
            self._connection.register("batch", batch)
            self._connection.execute("insert into offered by name from batch")
            self._connection.unregister("batch")
            self._offered += batch.num_rows
            self._pending, self._rows = [], 0


_NAMES = ["begun_at", "topic_id", "partition", "offset", "symbol", "interval", "ts"]
_NAMES += ["origin_topic_id", "origin_partition", "origin_offset"]


@contextmanager
def open_scratch(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in `folder` for what does not fit into memory, in UTC; it goes with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="verify-", dir=folder) as temporary:
        connection = duckdb.connect(str(Path(temporary) / "scratch.duckdb"), config={"memory_limit": MEMORY})
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()
