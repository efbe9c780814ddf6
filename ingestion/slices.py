"""A feed as encoded messages, in slices, made in a thread of its own while the ones before are sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.encode import encode_bars
from ingestion.pace import Pace
from ingestion.sources.feed import Feed

_ENCODED_ROWS = 16_384


@dataclass(frozen=True)
class Slice:
    """Messages that are sent in one go. `event_time` is the first one's `ts` in microseconds."""

    keys: pa.BinaryArray
    values: pa.BinaryArray
    event_time: int

    def __len__(self) -> int:
        return len(self.keys)


def read_slices(feed: Feed, pace: Pace, *, position: int = 0, until: int | None, loop: bool) -> Iterator[Slice]:
    """The feed from its `position`-th bar on and up to its `until`-th, or to its end, which a loop does not have.

    In a loop bars are counted on: position `rows` is the first one again. At most two pieces of the feed and two of
    16,384 encoded messages are in memory. Raises what reading the feed raises.
    """
    for slices in _ahead(_encode(bars, pace) for bars in _tables(feed, position, until, loop)):
        yield from slices


def _tables(feed: Feed, position: int, until: int | None, loop: bool) -> Iterator[pa.Table]:
    left = None if until is None else until - position
    for piece in _pieces(feed, position, loop):
        for start in range(0, piece.num_rows, _ENCODED_ROWS):
            if left is not None and left <= 0:
                return
            table = piece.slice(start, _ENCODED_ROWS if left is None else min(_ENCODED_ROWS, left))
            yield table
            left = None if left is None else left - table.num_rows


def _pieces(feed: Feed, position: int, loop: bool) -> Iterator[pa.Table]:
    if feed.rows == 0 or (position >= feed.rows and not loop):
        return
    yield from feed.pieces(position % feed.rows)
    while loop:
        yield from feed.pieces()


def _encode(bars: pa.Table, pace: Pace) -> list[Slice]:
    keys, values = encode_bars(bars)
    times = pc.cast(bars["ts"], pa.int64())
    starts = [0, *(ends := pace.slice_ends(bars))]
    return [Slice(keys[start:end], values[start:end], times[start].as_py()) for start, end in zip(starts, ends, strict=False)]


def _ahead(items: Iterator[list[Slice]]) -> Iterator[list[Slice]]:
    """The items; the next one is made while one is in use. Arrow gives the interpreter free for most of the making."""
    with ThreadPoolExecutor(1, thread_name_prefix="encode") as thread:
        upcoming = thread.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = thread.submit(next, items, None)
            yield item
