"""What `make bench-publish` publishes bit by bit holds what a full export does."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import publish
from benchmarks.measuring.process import CaseError
from benchmarks.publishing.changes import Warehouse
from tickhouse.settings import Settings
from tickhouse.storage import open_storage


def test_every_way_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "ROW", 1)
    figures, ratios = publish.run(tmp_path, publish.CASES, symbols=5, runs=1)
    assert {figure.case for figure in figures} == set(publish.CASES)
    assert len(ratios) == 7
    assert all(value > 0 for value in ratios.values())


def test_other_contents_than_a_full_exports_end_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.lake_path / "published").mkdir(parents=True)
    contents = iter([{"fct_indicator": "a"}, {"fct_indicator": "b"}])
    monkeypatch.setattr(publish, "contents", lambda _warehouse: next(contents))
    monkeypatch.setattr(publish, "publish", lambda _warehouse: {})
    with pytest.raises(CaseError, match="bit by bit"):
        publish.publish_all(Warehouse(settings, open_storage(settings), symbols=1))
