"""Which feed a replay is of, and which options are whose."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from apps.cli.main import app
from apps.cli.replaying import open_feed
from ingestion.sources import SAMPLE_ROWS, SourceError, SyntheticFeed
from tickhouse.settings import Settings

CSV = "symbol,ts,open,high,low,close,volume\nA,2020-01-01,1,1,1,1,1\nA,2020-01-02,1,1,1,1,1\n"


def test_a_feed_is_the_sample_or_made_up_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(CSV)
    assert open_feed("sample", {}).rows == SAMPLE_ROWS
    assert open_feed("synthetic", {}) == SyntheticFeed()
    assert open_feed(str(path), {"map": None, "interval": None}).rows == 2


@pytest.mark.parametrize(
    ("options", "feed"),
    [
        ({"symbols": 5000, "interval": "1h"}, SyntheticFeed(symbols=5000, interval="1h", bars=24)),
        ({"days": 2.0, "seed": 7}, SyntheticFeed(bars=2880, seed=7)),
        ({"bars": 9, "drift": 0.0, "volatility": 1.0}, SyntheticFeed(bars=9, drift=0.0, volatility=1.0)),
        ({"start": datetime(2024, 1, 1)}, SyntheticFeed(start=datetime(2024, 1, 1, tzinfo=UTC))),
    ],
)
def test_made_up_bars_are_as_the_options_say(options: dict[str, Any], feed: SyntheticFeed) -> None:
    assert open_feed("synthetic", options) == feed


@pytest.mark.parametrize(
    ("feed", "options", "message"),
    [
        ("sample", {"interval": "1d"}, "--interval cannot be said of the sample"),
        ("prices.csv", {"symbols": 5, "seed": 0}, "--symbols, --seed cannot be said of a file"),
        ("synthetic", {"map": "ts=day"}, "--map cannot be said of the synthetic feed"),
        ("synthetic", {"bars": 1, "days": 1}, "--bars and --days say the same thing"),
        ("synthetic", {"bars": 0}, "at least one symbol and one bar"),
        ("synthetic", {"days": -1}, "at least one symbol and one bar"),
    ],
)
def test_what_makes_no_sense_of_a_feed_is_refused(feed: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_feed(feed, options)


def test_a_refused_option_exits_with_2_before_anything_is_begun(settings: Settings) -> None:
    result = CliRunner().invoke(app, ["replay", "synthetic", "--interval", "2m"])
    assert (result.exit_code, result.stderr.split(";")[0]) == (2, "tickhouse: '2m' is not an interval")
