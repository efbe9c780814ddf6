"""The bars of one symbol and interval, put together from the memory-mapped files that hold some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from transform.snapshot.mapped import HOT_SCHEMA, MappedFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Series:
    """Bars with their indicators in the order of ts: slices of memory-mapped files, of which nothing is read yet."""

    symbol: str
    interval: str
    parts: Sequence[pa.Table]

    def __len__(self) -> int:
        return sum(part.num_rows for part in self.parts)

    def rows(self, offset: int = 0, limit: int | None = None) -> pa.Table:
        """At most `limit` bars from the one at `offset` on: `symbol`, `interval` and the columns of `HOT_SCHEMA`."""
        found = pa.concat_tables([HOT_SCHEMA.empty_table(), *self.parts]).slice(offset, limit)
        constant = {name: pa.repeat(value, found.num_rows) for name, value in self._key.items()}
        return pa.table({**constant, **dict(zip(found.column_names, found.columns, strict=True))})

    def newest(self, limit: int) -> pa.Table:
        """The last `limit` bars, oldest first."""
        return self.rows(max(len(self) - limit, 0))

    @property
    def _key(self) -> dict[str, str]:
        return {"symbol": self.symbol, "interval": self.interval}


def find_series(
    files: Sequence[MappedFile], symbol: str, interval: str, start: datetime | None = None, until: datetime | None = None
) -> Series:
    """The bars from `start` on, before `until` (UTC; None is no bound); `files` are in the order of their eras."""
    spans = [(file, spans[interval]) for file in files if interval in (spans := file.series.get(symbol, {}))]
    parts = [file.rows.slice(span.begin, span.end - span.begin) for file, span in spans]
    return Series(symbol, interval, [_between(part, start, until) for part in parts])


def count_intervals(files: Sequence[MappedFile], symbol: str) -> dict[str, tuple[int, int]]:
    """By interval how many bars of the symbol there are, and how many of these were derived."""
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        for interval, span in file.series.get(symbol, {}).items():
            bars, derived = found.get(interval, (0, 0))
            found[interval] = (bars + span.end - span.begin, derived + span.derived)
    return found


def _between(part: pa.Table, start: datetime | None, until: datetime | None) -> pa.Table:
    if start is None and until is None:
        return part
    times = part["ts"].cast(pa.int64()).to_numpy()
    begin = 0 if start is None else int(np.searchsorted(times, _microseconds(start)))
    end = len(times) if until is None else int(np.searchsorted(times, _microseconds(until)))
    return part.slice(begin, max(end - begin, 0))


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
