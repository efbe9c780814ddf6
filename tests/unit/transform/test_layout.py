"""Every row is in one cell, no symbol in two of an era, and eras stay few."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transform.snapshot import layout as laid_out
from transform.snapshot.layout import Cell, Layout, divide, tail_cuts

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
SYMBOLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)
TIMES = st.integers(0, 60).map(lambda day: BEGIN + timedelta(days=day))
SMALL = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laid_out, "CELL_ROWS", 10)
    monkeypatch.setattr(laid_out, "TAIL_ROWS", 20)


@SMALL
@given(st.dictionaries(SYMBOLS, st.integers(1, 25), min_size=1, max_size=30), st.booleans())
def test_parts_of_a_cell_follow_each_other_and_are_small_but_where_one_symbol_is_large(
    rows: dict[str, int], has_end: bool
) -> None:
    ordered = sorted(rows.items())
    cell = Cell(3, ordered[0][0], ordered[-1][0] + "\U0010ffff" if has_end else None)
    parts = divide(cell, ordered)
    assert (parts[0].symbols_from, parts[-1].symbols_until) == (cell.symbols_from, cell.symbols_until)
    assert [part.symbols_until for part in parts[:-1]] == [part.symbols_from for part in parts[1:]]
    for part in parts:
        held = [count for symbol, count in ordered if is_in(part, symbol)]
        assert held
        assert len(held) == 1 or sum(held) <= laid_out.CELL_ROWS
    assert sum(is_in(part, symbol) for part in parts for symbol in rows) == len(rows)


def is_in(cell: Cell, symbol: str) -> bool:
    return symbol >= cell.symbols_from and (cell.symbols_until is None or symbol < cell.symbols_until)


@SMALL
@given(
    st.lists(st.dictionaries(st.sampled_from(["1d", "1h"]), TIMES, min_size=1), max_size=6),
    st.lists(SYMBOLS, min_size=1, max_size=8),
    st.lists(st.tuples(SYMBOLS, st.sampled_from(["1d", "1h", "1m"]), TIMES), max_size=20),
)
def test_every_bar_is_in_exactly_one_cell(
    cuts: list[dict[str, datetime]], symbols: list[str], bars: list[tuple[str, str, datetime]]
) -> None:
    layout = Layout().with_intervals(["1d", "1h"])
    latest = dict.fromkeys(["1d", "1h"], BEGIN)
    for number, cut in enumerate(cuts):
        latest |= {
            interval: max(latest[interval], ts) for interval, ts in cut.items()
        }  # a tail without an interval has no cut of it
        layout = layout.with_tail_cut({interval: latest[interval] for interval in cut}, 100 // (number + 1), 100)
        parts = divide(Cell(layout.tail), [(symbol, 7) for symbol in sorted(set(symbols) - {""})])
        layout = layout.with_parts(Cell(layout.tail), parts)
    layout = layout.with_intervals(["1m"])
    for symbol, interval, ts in bars:
        eras = [era for era in range(layout.tail + 1) if is_within(layout.span(era, interval), ts)]
        assert len(eras) == 1
        cells = [cell for cell in layout.cells(eras[0]) if is_in(cell, symbol)]
        assert cells == [layout.cell_of(eras[0], symbol)]


def is_within(span: tuple[datetime | None, datetime | None], ts: datetime) -> bool:
    begin, end = span
    return (begin is None or ts >= begin) and (end is None or ts < end)


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=300))
def test_eras_are_few_however_many_tails_are_cut(cut_rows: list[int]) -> None:
    layout = Layout().with_intervals(["1d"])
    for number, older in enumerate(cut_rows):
        layout = layout.with_tail_cut({"1d": BEGIN + timedelta(days=number)}, older, older + 5)
        *eras, tail = layout.rows
        assert (sum(eras), tail) == (sum(cut_rows[: number + 1]), 5)
        assert all(before >= 2 * after for before, after in pairwise(eras))
        assert len(eras) <= 1 + math.log2(sum(eras))
        assert [len(each) for each in layout.cuts.values()] == [len(eras)]


@SMALL
@given(st.dictionaries(st.sampled_from(["1d", "1h", "1m"]), st.dictionaries(TIMES, st.integers(1, 9), min_size=1), min_size=1))
def test_a_cut_leaves_the_newest_times_of_each_interval_and_not_much_more(rows: dict[str, dict[datetime, int]]) -> None:
    ordered = {interval: sorted(times.items()) for interval, times in rows.items()}
    cuts = tail_cuts(ordered)
    assert cuts.keys() == rows.keys()
    assert all(cuts[interval] <= times[-1][0] for interval, times in ordered.items())
    newest = {interval: times[-1][1] for interval, times in ordered.items()}
    left = sum(count for interval, times in ordered.items() for ts, count in times if ts >= cuts[interval])
    assert left <= laid_out.KEPT_SHARE * laid_out.TAIL_ROWS + sum(newest.values())
