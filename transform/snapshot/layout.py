"""How a mart's rows are divided into files, so that a publication writes few of them anew.

Rows are divided by time into eras, the last of which is the tail, and each era by ranges of symbols into cells; a cell is a file.
New bars fall into the tail. When that has grown too large its older part becomes an era of its own, and eras of like size become
one, as in a log-structured merge tree: a row is written again some log2(rows / TAIL_ROWS) times in its life.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

TAIL_ROWS = 100_000
"""A tail of more rows than this is cut; a quarter of it stays."""

KEPT_SHARE = 0.25

CELL_ROWS = 100_000
"""About so many rows make a cell; it is divided anew at twice as many."""

ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
"""A cut before all times."""


@dataclass(frozen=True, order=True)
class Cell:
    """The rows of one era with symbols from `symbols_from` on, before `symbols_until`; None is no end."""

    era: int
    symbols_from: str = ""
    symbols_until: str | None = None


@dataclass(frozen=True)
class Layout:
    """Where eras begin, and how symbols are divided in each.

    `cuts` maps an interval to the first ts (UTC) of every era but the first: all have the same number. `ranges` holds the first
    symbol of every cell by era, in order; the first is always "". `rows` is how many each era had when it was last written.
    """

    cuts: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    ranges: tuple[tuple[str, ...], ...] = (("",),)
    rows: tuple[int, ...] = (0,)

    @property
    def tail(self) -> int:
        """The number of the last era."""
        return len(self.ranges) - 1

    def cells(self, era: int) -> list[Cell]:
        """The cells of an era, in the order of symbols."""
        firsts = self.ranges[era]
        return [Cell(era, first, until) for first, until in zip(firsts, (*firsts[1:], None), strict=True)]

    def cell_of(self, era: int, symbol: str) -> Cell:
        """The cell of an era that a symbol is in."""
        cells = self.cells(era)
        return cells[bisect_right(self.ranges[era], symbol) - 1]

    def span(self, era: int, interval: str) -> tuple[datetime | None, datetime | None]:
        """The first ts of the era's bars of this interval, and the first that is too late; None is no bound."""
        cuts = self.cuts[interval]
        begins = cuts[era - 1] if era > 0 else ALWAYS
        return None if begins == ALWAYS else begins, cuts[era] if era < len(cuts) else None

    def with_intervals(self, intervals: Iterable[str]) -> Layout:
        """Knowing these intervals too: bars of a new one are all in the tail."""
        new = {interval: (ALWAYS,) * self.tail for interval in intervals if interval not in self.cuts}
        return replace(self, cuts={**self.cuts, **new})

    def with_tail_cut(self, cuts: Mapping[str, datetime], older: int, total: int) -> Layout:
        """With the `older` of the tail's `total` rows, those before `cuts` (by interval), as an era of its own.

        Both are one cell each. Eras before it become one with it while they are not at least twice as large. An interval that the
        tail has no bars of is cut where it was cut last.
        """
        longer = {interval: (*before, cuts.get(interval, max(before, default=ALWAYS))) for interval, before in self.cuts.items()}
        cut = Layout(longer, (*self.ranges[:-1], ("",), ("",)), (*self.rows[:-1], older, total - older))
        while cut.tail >= 2 and cut.rows[-3] < 2 * cut.rows[-2]:
            cut = cut._with_one_era_less()
        return cut

    def with_parts(self, cell: Cell, parts: Sequence[Cell]) -> Layout:
        """With `parts` in place of a cell."""
        kept = [first for first in self.ranges[cell.era] if first != cell.symbols_from]
        firsts = tuple(sorted([*kept, *(part.symbols_from for part in parts)]))
        return replace(self, ranges=(*self.ranges[: cell.era], firsts, *self.ranges[cell.era + 1 :]))

    def _with_one_era_less(self) -> Layout:
        """With the last two eras before the tail as one."""
        cuts = {interval: (*before[:-2], before[-1]) for interval, before in self.cuts.items()}
        rows = (*self.rows[:-3], self.rows[-3] + self.rows[-2], self.rows[-1])
        return Layout(cuts, (*self.ranges[:-3], ("",), self.ranges[-1]), rows)


def divide(cell: Cell, rows_by_symbol: Sequence[tuple[str, int]]) -> list[Cell]:
    """A cell in parts of about `CELL_ROWS` rows, given its symbols in order with their rows; no symbol is in two of them."""
    firsts, held = [cell.symbols_from], 0
    for symbol, rows in rows_by_symbol:
        if held and held + rows > CELL_ROWS:
            firsts.append(symbol)
            held = 0
        held += rows
    ends = (*firsts[1:], cell.symbols_until)
    return [Cell(cell.era, first, until) for first, until in zip(firsts, ends, strict=True)]


def tail_cuts(rows_by_time: Mapping[str, Sequence[tuple[datetime, int]]]) -> dict[str, datetime]:
    """Where to cut a tail, by interval, for its rows by ts (UTC, ascending): about `KEPT_SHARE` of `TAIL_ROWS` stay.

    Each interval keeps its share, and at least the bars of its last ts: those may still change.
    """
    total = sum(rows for times in rows_by_time.values() for _ts, rows in times)
    share = min(1.0, KEPT_SHARE * TAIL_ROWS / max(total, 1))
    cuts = {}
    for interval, times in rows_by_time.items():
        left = share * sum(rows for _ts, rows in times)
        for ts, rows in reversed(times):
            if interval in cuts and rows > left:
                break
            cuts[interval] = ts
            left -= rows
    return cuts
