"""Which cells of a mart's layout changed since a build, told by `change_seq`; and the rows of cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from transform.marts import CHANGED_WITH, HAS_ROW_FOR_ROW, KEEPS_ROWS, REMOVED_WITH
from transform.snapshot.layout import CELL_ROWS, TAIL_ROWS, Cell, Layout, divide, tail_cuts
from transform.snapshot.manifest import PublishedFile, PublishedMart

_READ_TOGETHER = 8
_REMOVED = """
select symbol, interval, ts from control.removed_row
where change_seq > $since and model in (select unnest($removed))
"""


@dataclass(frozen=True)
class Changes:
    """How the mart is laid out now, the cells to write anew, the published files that stay, and the table that was counted."""

    layout: Layout
    cells: list[Cell]
    kept: tuple[PublishedFile, ...]
    counted: str


def find_changes(
    connection: duckdb.DuckDBPyConnection, name: str, published: PublishedMart | None, since: int | None
) -> Changes | None:
    """What of the mart has to be written: everything when `since` is None, else what builds after `since` changed.

    None is nothing. Rows may also have gone: they do so only when the bar's row in `CHANGED_WITH` changes, those of `KEEPS_ROWS`
    only when every row is later than `since`. What went and left no row behind is in `control.removed_row`.
    """
    counted = HAS_ROW_FOR_ROW[name]
    is_own = name in KEEPS_ROWS
    removed_from = (name,) if is_own else REMOVED_WITH
    finder = _Finder(connection, counted, counted if is_own else CHANGED_WITH, removed_from)
    if published is None or since is None or (name in KEEPS_ROWS and finder.began_after(since)):
        return finder.anew()
    layout, changed = finder.changed_rows(published, since)
    return finder.changes(published, layout, changed) if changed else None


def read_cells(
    connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, layout: Layout, cells: Iterable[Cell]
) -> Iterator[tuple[Cell, pa.Table]]:
    """Each cell's rows in `schema`, by (symbol, interval, ts) and the schema's first column.

    Cells beside each other are read together, `_READ_TOGETHER` at most: a query has to look at all symbols, whatever it takes.
    """
    for run in _runs(cells):
        rows = _read(connection, name, schema, layout, Cell(run[0].era, run[0].symbols_from, run[-1].symbols_until))
        begin = 0
        for cell in run:
            until = cell.symbols_until
            end = rows.num_rows if until is None else pc.sum(pc.less(rows["symbol"], until)).as_py() or 0
            yield cell, rows.slice(begin, end - begin)
            begin = end


def _runs(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    run: list[Cell] = []
    for cell in cells:
        if run and (len(run) == _READ_TOGETHER or (run[-1].era, run[-1].symbols_until) != (cell.era, cell.symbols_from)):
            yield run
            run = []
        run.append(cell)
    if run:
        yield run


def _read(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, layout: Layout, cell: Cell) -> pa.Table:
    where, bound = _in_cell(layout, cell)
    order = ", ".join(dict.fromkeys(("symbol", "interval", "ts", schema.names[0])))
    selected = f"select {', '.join(schema.names)} from {name} where {where} order by {order}"
    return connection.sql(selected, params=bound).to_arrow_table().cast(schema)


class _Finder:
    """Asks a mart's `counted` table, which has a row for each of the mart's, and the one that it has `changed_with`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, counted: str, changed_with: str, removed_from: Sequence[str]
    ) -> None:
        self._connection = connection
        self._counted = counted
        self._changed_with = changed_with
        self._removed_from = list(removed_from)

    def began_after(self, since: int) -> bool:
        """Whether no row is as old as build `since`."""
        found = self._connection.execute(f"select count(*) from {self._counted} where change_seq <= ?", [since]).fetchall()
        return found[0][0] == 0

    def anew(self) -> Changes:
        """Everything, laid out from nothing."""
        layout = self._divided(self._tail_cut(Layout().with_intervals(self._intervals(self._counted, 0))), 0)
        return Changes(layout, _cells_from(layout, 0), (), self._counted)

    def changed_rows(self, published: PublishedMart, since: int) -> tuple[Layout, dict[Cell, int]]:
        """The published layout, and how many rows changed in each of its cells."""
        layout = _layout(published).with_intervals(self._intervals(self._changed_with, since))
        tables = (self._changed_with, self._counted)
        keys = [f"select symbol, interval, ts from {table} where change_seq > $since" for table in dict.fromkeys(tables)]
        keys.append(_REMOVED)
        era, bound = _era(layout)
        found = self._connection.sql(
            f"select {era} as era, symbol, count(*) as changed from ({' union '.join(keys)}) group by all",
            params={"since": since, "removed": self._removed_from, **bound},
        ).fetchall()
        changed: dict[Cell, int] = defaultdict(int)
        for number, symbol, rows in found:
            changed[layout.cell_of(number, symbol)] += rows
        return layout, changed

    def changes(self, published: PublishedMart, layout: Layout, changed: Mapping[Cell, int]) -> Changes:
        """What to write of a published mart, so much of which changed."""
        if 2 * sum(changed.values()) >= published.rows:
            return self.anew()
        held = {(file.era, file.symbols_from): file.rows for file in published.files}
        expected = {cell: held.get((cell.era, cell.symbols_from), 0) + rows for cell, rows in changed.items()}
        written_from = layout.tail + 1
        if layout.rows[layout.tail] + sum(rows for cell, rows in changed.items() if cell.era == layout.tail) > TAIL_ROWS:
            cut = self._tail_cut(layout)
            if cut is not layout:
                written_from = cut.tail - 1
                layout = self._divided(cut, written_from)
        cells = _cells_from(layout, written_from)
        for cell, rows in expected.items():
            if cell.era < written_from:
                parts = [cell] if rows <= 2 * CELL_ROWS else self._parts(layout, cell)
                layout = layout.with_parts(cell, parts)
                cells += parts
        kept = (file for file in published.files if file.era < written_from)
        left = {(cell.era, cell.symbols_from) for cell in expected}
        return Changes(layout, cells, tuple(file for file in kept if (file.era, file.symbols_from) not in left), self._counted)

    def _tail_cut(self, layout: Layout) -> Layout:
        """With the tail cut if it is too large."""
        where, bound = _in_cell(layout, Cell(layout.tail))
        counted = f"select interval, ts, count(*) from {self._counted} where {where} group by all order by all"
        times: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for interval, ts, rows in self._connection.sql(counted, params=bound).fetchall():
            times[interval].append((ts, rows))
        total = sum(rows for rows_by_ts in times.values() for _ts, rows in rows_by_ts)
        if total <= TAIL_ROWS:
            return layout
        cuts = tail_cuts(times)
        older = sum(rows for interval, rows_by_ts in times.items() for ts, rows in rows_by_ts if ts < cuts[interval])
        return layout.with_tail_cut(cuts, older, total) if older else layout

    def _divided(self, layout: Layout, first_era: int) -> Layout:
        """With the eras from `first_era` on divided by symbols as they are now."""
        for era in range(first_era, layout.tail + 1):
            layout = layout.with_parts(Cell(era), self._parts(layout, Cell(era)))
        return layout

    def _parts(self, layout: Layout, cell: Cell) -> list[Cell]:
        where, bound = _in_cell(layout, cell)
        counted = f"select symbol, count(*) from {self._counted} where {where} group by symbol order by symbol"
        return divide(cell, self._connection.sql(counted, params=bound).fetchall())

    def _intervals(self, table: str, since: int) -> list[str]:
        found = self._connection.execute(f"select distinct interval from {table} where change_seq > ?", [since]).fetchall()
        return sorted(interval for (interval,) in found)


def _layout(published: PublishedMart) -> Layout:
    """How a published mart is laid out."""
    eras = 1 + max((len(cuts) for cuts in published.cuts.values()), default=0)
    firsts: list[list[str]] = [[] for _ in range(eras)]
    rows = [0] * eras
    for file in published.files:
        firsts[file.era].append(file.symbols_from)
        rows[file.era] += file.rows
    return Layout(published.cuts, tuple(tuple(sorted(each)) or ("",) for each in firsts), tuple(rows))


def _cells_from(layout: Layout, first_era: int) -> list[Cell]:
    return [cell for era in range(first_era, layout.tail + 1) for cell in layout.cells(era)]


def _era(layout: Layout) -> tuple[str, dict[str, Any]]:
    """SQL for the number of the era that a row is in."""
    bound: dict[str, Any] = {}
    branches = []
    for number, (interval, cuts) in enumerate(layout.cuts.items()):
        bound[f"interval_{number}"] = interval
        bound.update({f"cut_{number}_{place}": cut for place, cut in enumerate(cuts)})
        passed = " + ".join(f"(ts >= $cut_{number}_{place})::int" for place in range(len(cuts))) or "0"
        branches.append(f"when $interval_{number} then {passed}")
    return (f"case interval {' '.join(branches)} end", bound) if branches else ("0", bound)


def _in_cell(layout: Layout, cell: Cell) -> tuple[str, dict[str, Any]]:
    """A condition that holds of the cell's rows; the bounds of all intervals let DuckDB pass over most of a table."""
    bound: dict[str, Any] = {"symbols_from": cell.symbols_from, "symbols_until": cell.symbols_until}
    conditions = ["symbol >= $symbols_from"] + (["symbol < $symbols_until"] if cell.symbols_until is not None else [])
    spans = {interval: layout.span(cell.era, interval) for interval in layout.cuts}
    branches = []
    for number, (interval, (begin, end)) in enumerate(spans.items()):
        limits = {
            f"interval_{number}": ("interval =", interval),
            f"begin_{number}": ("ts >=", begin),
            f"end_{number}": ("ts <", end),
        }
        bound.update({name: value for name, (_operator, value) in limits.items()})
        given = [f"{operator} ${name}" for name, (operator, value) in limits.items() if value is not None]
        branches.append(f"({' and '.join(given)})")
    if branches:
        conditions.append(f"({' or '.join(branches)})")
    begins = [begin for begin, _end in spans.values() if begin is not None]
    ends = [end for _begin, end in spans.values() if end is not None]
    if spans and len(begins) == len(spans):
        bound["begin"] = min(begins)
        conditions.append("ts >= $begin")
    if spans and len(ends) == len(spans):
        bound["end"] = max(ends)
        conditions.append("ts < $end")
    return " and ".join(conditions), {name: value for name, value in bound.items() if value is not None}
