"""A bar is published with the first snapshot that covers it, and readable once the API answers from that or a later one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lake import Lake, bar

from benchmarks.freshness import STOCK, WARM, figures_of, make_ratios
from benchmarks.measuring.report import Figure, Figures
from benchmarks.refreshing import timing
from benchmarks.refreshing.timing import Answers, Times, landed_to_published, times_of
from tickhouse.settings import Settings


def test_times_are_of_the_first_snapshot_that_covers_a_bar(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, landed = Lake(settings), {}
    for day in range(3):
        lake.land([bar("A", day, 1.0, produced_at=pd.Timestamp(90 + day, unit="s", tz="UTC"))])
    for position, landed_at in enumerate((100.0, 101.0, 102.0)):
        landed[lake.storage.local_path(lake.chain.slot_key(position))] = landed_at
    monkeypatch.setattr(timing, "landed_at", landed.__getitem__)
    monkeypatch.setattr(timing, "_published", lambda *_: {0: (1, 100.5), 1: (3, 103.0)})
    times = times_of(settings, Answers({0: 100.6, 2: 103.5}), 0)
    assert times.landed_to_published.tolist() == [0.5, 2.0, 1.0]
    assert times.produced_to_answered.tolist() == pytest.approx([10.6, 12.5, 11.5])
    assert landed_to_published(settings, 1).tolist() == [2.0, 1.0]


def test_figures_and_ratios_are_of_the_percentiles_that_people_are_promised() -> None:
    figures = figures_of("", Times(np.arange(1.0, 102.0), np.arange(101.0, 202.0)))
    assert figures["landed → published, p95 s"] == 96.0
    measured = Figures(
        [Figure(case, unit, (value * share,)) for case, share in ((WARM, 1.0), (STOCK, 5.0)) for unit, value in figures.items()]
    )
    assert make_ratios(measured) == {
        "landed_to_published_p95_seconds": 96.0,
        "produced_to_api_p95_seconds": 196.0,
        "stock_over_warm": 5.0,
    }
