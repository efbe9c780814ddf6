"""How bars that were derived from finer ones are served beside those that landed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from market_snapshot import publish_bars, stock_bars, weekly_bars

from apps.api.main import create_app
from tickhouse.settings import Settings
from tickhouse.storage import open_storage

DAILY = stock_bars().query("symbol == 'FB'")
WEEKLY = weekly_bars(DAILY)


@pytest.fixture
def api(settings: Settings) -> TestClient:
    """An API over a snapshot of FB's daily bars and the weeks derived from them, the last of which is not closed."""
    publish_bars(open_storage(settings), pd.concat([DAILY, WEEKLY]))
    return TestClient(create_app(settings))


def get(api: TestClient, path: str, **parameters: Any) -> dict[str, Any]:
    response = api.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def usual(settings: Settings, *bars: pd.DataFrame) -> tuple[str, str]:
    """The interval that /symbol and /indicators show of FB when none is asked for, where these bars are published."""
    publish_bars(open_storage(settings), pd.concat(bars))
    api = TestClient(create_app(settings))
    return get(api, "/symbol/FB")["interval"], get(api, "/indicators/FB")["interval"]


def test_a_bar_says_what_it_was_derived_from_and_whether_it_is_closed(api: TestClient) -> None:
    weeks = get(api, "/data", interval="1w", limit=10_000)["bars"]
    assert {bar["derived_from"] for bar in weeks} == {"1d"}
    assert [bar["is_closed"] for bar in weeks] == [True] * (len(WEEKLY) - 1) + [False]
    days = get(api, "/data", interval="1d", limit=10_000)["bars"]
    assert {(bar["derived_from"], bar["is_closed"]) for bar in days} == {(None, True)}
    assert get(api, "/symbol/FB", interval="1w")["latest"]["is_closed"] is False
    assert [point["is_closed"] for point in get(api, "/indicators/FB", interval="1w", limit=2)["points"]] == [True, False]


@pytest.mark.parametrize(
    ("asked", "count"),
    [({}, len(DAILY) + len(WEEKLY)), ({"derived": "false"}, len(DAILY)), ({"derived": "true"}, len(WEEKLY))],
)
def test_derived_bars_can_be_left_out_or_had_alone(api: TestClient, asked: dict[str, str], count: int) -> None:
    page = get(api, "/data", symbol="FB", limit=10_000, **asked)
    assert page["total"] == len(page["bars"]) == count


def test_totals_say_how_many_bars_were_derived(api: TestClient) -> None:
    stats, health = get(api, "/stats"), get(api, "/health")
    assert stats["bars"] - stats["derived_bars"] == stats["balance"]["current"] == len(DAILY)
    assert stats["derived_bars"] == health["derived_bars"] == len(WEEKLY)
    assert health["message"] == f"Serving {stats['bars']} bars, {len(WEEKLY)} of them derived from finer ones."
    assert stats["bars_by_interval"] == [
        {"interval": "1w", "bars": len(WEEKLY), "derived_bars": len(WEEKLY)},
        {"interval": "1d", "bars": len(DAILY), "derived_bars": 0},
    ]
    assert [(row["interval"], row["derived_bars"]) for row in get(api, "/symbols")["symbols"]] == [("1d", 0), ("1w", len(WEEKLY))]


def test_a_symbol_says_which_of_its_intervals_are_derived(api: TestClient) -> None:
    summary = get(api, "/symbol/FB")
    assert (summary["intervals"], summary["derived_intervals"]) == (["1w", "1d"], ["1w"])


def test_without_an_interval_daily_bars_are_shown_derived_or_not(settings: Settings) -> None:
    assert usual(settings, DAILY, WEEKLY) == ("1d", "1d")
    hours = DAILY.assign(interval="1h")
    assert usual(settings, hours, DAILY.assign(derived_from="1h")) == ("1d", "1d")


def test_without_daily_bars_the_longest_that_landed_is_shown(settings: Settings) -> None:
    minutes, quarters = DAILY.assign(interval="1m"), DAILY.assign(interval="15m")
    assert usual(settings, minutes, quarters, WEEKLY) == ("15m", "15m")
    assert usual(settings, WEEKLY.assign(derived_from=None)) == ("1w", "1w")


def test_a_snapshot_from_before_bars_were_derived_is_served_as_landed_and_closed(settings: Settings) -> None:
    publish_bars(open_storage(settings), DAILY)
    for file in settings.lake_path.glob("published/data/fct_indicator/*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["derived_from", "is_closed"]), file)
    api = TestClient(create_app(settings))
    bar = get(api, "/symbol/FB")["latest"]
    assert (bar["derived_from"], bar["is_closed"]) == (None, True)
    assert get(api, "/stats")["derived_bars"] == 0
