"""What `make bench-indicators` compares gives right numbers; polars, which has an environment of its own, is checked there."""

from __future__ import annotations

import pytest

from benchmarks.computing.agreement import disagreements
from benchmarks.computing.history import SCRATCH, History
from benchmarks.computing.work import FULL
from benchmarks.indicators import CHECKED_DAYS, DAYS, MEMORY, RATE, SECONDS, WAYS, check, compute, prepare
from benchmarks.measuring.process import CaseError
from transform.warehouse import open_warehouse

OURS = "full refresh: ours"
ON_OUR_INTERPRETER = [name for name, way in WAYS.items() if way.environment is None and (way.days == DAYS or way.is_peer)]
SPARED = {"full refresh: ours, by dbt", "correction: ours, by dbt"}  # what dbt adds is the same for each step


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A few symbols, long enough for a correction of four years ago and for averages that settle."""
    return prepare(tmp_path_factory.mktemp("history"), symbols=5, days=CHECKED_DAYS, coming_days=len(WAYS))


@pytest.mark.parametrize("name", [name for name in ON_OUR_INTERPRETER if name not in SPARED])
def test_each_way_that_is_compared_stores_what_talib_says_and_tells_what_it_took(history: History, name: str) -> None:
    figures = check(history, {name: WAYS[name]})[name]
    assert all(figures[unit] > 0 for unit in (RATE, SECONDS, MEMORY))


def test_a_single_wrong_value_is_told(history: History) -> None:
    compute(history, WAYS[OURS])
    assert disagreements(history, SCRATCH) == []
    spoiled = []
    for column, value in (("sma_20", "sma_20 * (1 + 1e-8)"), ("ema_12", "ema_12 * (1 - 1e-8)"), ("rsi_14", "null")):
        with open_warehouse(history.settings) as connection:
            connection.execute(f"update {SCRATCH} set {column} = {value} where symbol = 'SYN0003' and ts = '2002-01-01 00:00Z'")
        spoiled.append(column)
        assert disagreements(history, SCRATCH) == spoiled


def test_a_way_that_leaves_rows_out_is_not_measured(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "count_changed", lambda *_: 7)
    with pytest.raises(CaseError, match=f"ours gave [\\d,]+ rows of 7 for the step {FULL}"):
        compute(history, WAYS[OURS])
