"""What `make bench-read` compares gives the same bars."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import read
from benchmarks.measuring.process import CaseError


def test_every_way_is_measured_and_its_ratio_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "REQUESTS", dict.fromkeys(read.CASES, 2))
    figures, ratios = read.run(tmp_path, read.CASES, symbols=90, runs=1)
    assert {figure.case for figure in figures} == set(read.CASES)
    assert all(value > 0 for value in ratios.values())
    assert len(ratios) == 5


def test_a_way_that_gives_other_bars_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "dataset", lambda *_: lambda _symbol: {"close": pa.array([1.0])})
    with pytest.raises(CaseError, match="pyarrow dataset: not the bars"):
        read.run(tmp_path, [read.MAPPED, read.DATASET], symbols=3, runs=1)
