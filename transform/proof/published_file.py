"""A published file held against what its manifest says of it: bytes, rows, contents, order, and its place in the layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transform.marts import (
    ALERT_EVENT,
    DIM_ALERT_RULE,
    DIM_INSTRUMENT,
    FCT_ALERT,
    FCT_BATCH_QUALITY,
    FCT_DATA_QUALITY,
    FCT_INDICATOR,
    FCT_QUALITY_EVENT,
)
from transform.snapshot.content import content_hash
from transform.snapshot.layout import ALWAYS
from transform.snapshot.manifest import PublishedFile

KEYS = {
    FCT_INDICATOR: ("symbol", "interval", "ts"),
    FCT_ALERT: ("symbol", "interval", "ts", "rule"),
    FCT_QUALITY_EVENT: ("symbol", "interval", "ts", "kind"),
    FCT_DATA_QUALITY: ("symbol", "interval", "ts"),
    FCT_BATCH_QUALITY: ("topic", "topic_id", "partition", "position"),
    ALERT_EVENT: ("event_seq",),
    DIM_ALERT_RULE: ("symbol", "rule", "severity"),
    DIM_INSTRUMENT: ("symbol",),
}
_ORDERED_BY = 3
_BATCH_ROWS = 100_000

Cuts = Mapping[str, Sequence[datetime]]


@dataclass
class FileContents:
    """What was read of a file: rows, their contents' hash, the least and the greatest symbol, what is wrong with its order."""

    rows: int = 0
    content: int = 0
    symbols: list[str] = field(default_factory=list)
    faults: set[str] = field(default_factory=set)
    _last: pa.Table | None = None

    def add(self, batch: pa.Table, mart: str, era: int, cuts: Cuts) -> None:
        """Take the next rows."""
        keys = batch.select(list(KEYS[mart])[:_ORDERED_BY])
        if not _is_sorted(keys if self._last is None else pa.concat_tables([self._last, keys])):
            self.faults.add(f"rows are not in the order of {', '.join(keys.column_names)}")
        if "interval" in keys.column_names and not _is_in_era(keys, era, cuts):
            self.faults.add(f"rows have times that are none of era {era}")
        self._last = keys.slice(max(keys.num_rows - 1, 0))
        self.rows += batch.num_rows
        self.content = (self.content + int(content_hash(batch), 16)) % 2**64
        if batch.num_rows and "symbol" in batch.column_names:
            known = {*self.symbols, *pc.min_max(batch["symbol"]).as_py().values()}
            self.symbols = [min(known), max(known)]

    def differences(self, file: PublishedFile) -> list[str]:
        """What is not as the manifest says; of a file of version 1, the rows alone are."""
        found = [f"{self.rows:,} rows"] if self.rows != file.rows else []
        if file.content is not None:
            content = f"{self.content:016x}"
            ends = (self.symbols[0], self.symbols[-1]) if self.symbols else (None, None)
            if content != file.content:
                found.append(f"contents with the hash {content}, and the manifest says {file.content}")
            if ends != (file.first_symbol, file.last_symbol):
                found.append(
                    f"symbols from {ends[0]} to {ends[1]}, and the manifest says {file.first_symbol} to {file.last_symbol}"
                )
        return [*found, *sorted(self.faults)]


def bytes_of(path: Path) -> tuple[int, str]:
    """How many bytes the file has, and their SHA-256."""
    with path.open("rb") as data:
        return path.stat().st_size, hashlib.file_digest(data, "sha256").hexdigest()


def read_contents(path: Path, mart: str, era: int, cuts: Cuts, step: Callable[[int], object]) -> FileContents:
    """What the file holds; `step` is told of rows that were read, some 100,000 at a time."""
    contents = FileContents()
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            contents.add(pa.Table.from_batches([batch]), mart, era, cuts)
            step(batch.num_rows)
    return contents


def _is_sorted(keys: pa.Table) -> bool:
    """Whether no row's key lies before that of the row above it."""
    above, below = keys.slice(0, max(keys.num_rows - 1, 0)), keys.slice(1)
    is_after: pa.ChunkedArray | None = None
    for name in reversed(keys.column_names):
        less, same = pc.less(above[name], below[name]), pc.equal(above[name], below[name])
        is_after = pc.or_(less, same if is_after is None else pc.and_(same, is_after))
    return bool(pc.all(is_after).as_py()) if below.num_rows else True


def _is_in_era(keys: pa.Table, era: int, cuts: Cuts) -> bool:
    """Whether all times are between the cuts of their interval."""
    spans = keys.group_by("interval").aggregate([("ts", "min"), ("ts", "max")]).to_pylist()
    for span in spans:
        bounds = (ALWAYS, *cuts.get(span["interval"], ()))
        if span["ts_min"] < bounds[era] or (era + 1 < len(bounds) and span["ts_max"] >= bounds[era + 1]):
            return False
    return True
