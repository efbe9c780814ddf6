"""What docs/indicators.md says of the indicators holds: its table, its example, its bounds."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
from bar_series import computed, of_closes

from tickhouse.settings import INDICATORS

PAGE = Path(__file__).parents[3] / "docs" / "indicators.md"


def test_the_table_holds_each_indicator_and_the_bar_it_begins_at() -> None:
    told = re.findall(r"(?m)^\| `(\w+)` \| .*? \| (\d+) \| [^|]+ \| [^|]*\|$", PAGE.read_text())
    values = computed(of_closes([float(n) for n in range(1, 61)]))
    begins = {name: int(np.flatnonzero(~np.isnan(values[name]))[0]) + 1 for name in INDICATORS}
    assert {name: int(bar) for name, bar in told} == begins
    assert [name for name, _ in told] == list(INDICATORS)


def test_the_example_runs_and_prints_what_it_shows() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted >= 5
    assert result.failed == 0
