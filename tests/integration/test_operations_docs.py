"""What docs/operations.md says to type works."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from market_snapshot import publish_bars, stock_bars

from tickhouse.settings import Settings
from tickhouse.storage import open_storage

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_recipe_for_duckdb_reads_the_newest_snapshot_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, bars = open_storage(settings), stock_bars().query("symbol == 'FB'")
    for count in (10, 20):
        publish_bars(storage, bars.head(count))
    [recipe] = re.findall(r"```sql\n(.+?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(settings.data_dir)
    with duckdb.connect() as connection:
        found = connection.execute(recipe).fetchall()
    assert [row[:3] for row in found] == [("FB", "1d", 20)]
