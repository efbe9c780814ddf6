"""What a feed is: bars in the order of time, read piece by piece from any row on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

PIECE_ROWS = 65_536
"""A piece of a feed has about so many rows: some 10 MB."""


class Feed(Protocol):
    """Bars in `FEED_SCHEMA`, ordered by (ts, symbol): the same bars at the same rows, however often they are read."""

    @property
    def rows(self) -> int:
        """How many bars there are."""

    def pieces(self, first_row: int = 0) -> Iterator[pa.Table]:
        """The bars from row `first_row` (counted from 0) on, in tables that are never empty."""

    def identity(self) -> str:
        """The same text for the same bars, and another for others: what a resumed replay recognises its feed by."""


@dataclass(frozen=True)
class TableFeed:
    """Bars that are in memory, in the order they are to be sent in."""

    bars: pa.Table

    @property
    def rows(self) -> int:
        """How many bars there are."""
        return self.bars.num_rows

    def pieces(self, first_row: int = 0) -> Iterator[pa.Table]:
        """Slices of `PIECE_ROWS` bars."""
        for start in range(first_row, self.rows, PIECE_ROWS):
            yield self.bars.slice(start, PIECE_ROWS)

    def identity(self) -> str:
        """A digest of the bars as Arrow's stream format writes them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.bars.schema) as stream:
            stream.write_table(self.bars, max_chunksize=PIECE_ROWS)
        return f"table-{hashlib.sha256(sink.getvalue()).hexdigest()}"
