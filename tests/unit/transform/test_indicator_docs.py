"""What docs/indicators.md says of the indicators holds: its table, its example, its bounds."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from bar_series import computed, of_closes

from tickhouse.settings import INDICATORS
from transform.proof.definitions import definitions

PAGE = Path(__file__).parents[3] / "docs" / "indicators.md"
TABLE = re.findall(r"(?m)^\| `(\w+)` \| (.*?) \| (\d+) \| [^|]+ \| [^|]*\|$", PAGE.read_text())


def test_the_table_holds_each_indicator_and_the_bar_it_begins_at() -> None:
    told = [(name, bar) for name, _, bar in TABLE]
    values = computed(of_closes([float(n) for n in range(1, 61)]))
    begins = {name: int(np.flatnonzero(~np.isnan(values[name]))[0]) + 1 for name in INDICATORS}
    assert {name: int(bar) for name, bar in told} == begins
    assert [name for name, _ in told] == list(INDICATORS)


def test_the_models_say_what_the_table_says() -> None:
    defined = {
        name: (definition.said, definition.first_bar) for name, definition in definitions().items() if definition.first_bar
    }
    assert {name: (formula.replace("`", ""), int(bar)) for name, formula, bar in TABLE} == {
        name: defined[name] for name in INDICATORS
    }


@pytest.mark.parametrize("name", [name for name, definition in definitions().items() if definition.is_indicator])
def test_an_indicator_looks_at_the_bars_that_the_models_say(name: str) -> None:
    window = definitions()[name].window_bars
    walk = np.random.default_rng(5).normal(size=(2, 80))
    closes, volumes = 100 + walk[0].cumsum(), 1000 * np.exp(walk[1])
    before = computed(of_closes(closes, volumes))[name][-1]
    for bars_ago in range(80):
        changed = np.arange(79, -1, -1) == bars_ago
        moved = computed(of_closes(closes + 3 * changed, volumes * (1 + changed)))[name][-1]
        is_in_reach = window is None or bars_ago < window
        is_in_reach &= not (name == "prior_mean_volume_20" and bars_ago == 0)
        assert (moved != before) == is_in_reach, bars_ago


def test_the_example_runs_and_prints_what_it_shows() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted >= 5
    assert result.failed == 0
