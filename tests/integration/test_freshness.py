"""A replay beside a live feed that stopped: what the checks, the command line and the source say of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import exchange_calendars
import pandas as pd
import pytest
from lake import Lake, bar, real_bars
from typer.testing import CliRunner

from apps.cli.main import app
from orchestration.checks import SHOWN, gaps_result
from orchestration.definitions import definitions
from tickhouse.settings import FreshnessSettings, Settings, as_environment
from tickhouse.storage import open_storage
from transform.build import run_build
from transform.freshness.gaps import Gaps, GapsFound, find_gaps
from transform.freshness.look import look
from transform.snapshot.read import SnapshotReader

SATURDAY = datetime(2025, 1, 11, 12, tzinfo=UTC)


def live_bar(symbol: str, day: str, close: float = 100.0, **fields: Any) -> dict[str, Any]:
    """A daily bar that Kafka took some hours after its session."""
    ts = pd.Timestamp(day, tz="UTC")
    return bar(symbol, 0, close, **{"ts": ts, "kafka_timestamp": ts + pd.Timedelta(hours=30), "adj_close": close, **fields})


@pytest.fixture(scope="module")
def market(shared_build_settings: Settings) -> Settings:
    """IBM and MSFT are live beside their replayed history, and IBM stopped; of NONAME no calendar is known."""
    lake = Lake(shared_build_settings)
    lake.land(real_bars())
    lake.land([live_bar(symbol, day) for symbol in ("IBM", "MSFT", "NONAME") for day in ("2024-12-30", "2024-12-31")])
    lake.land([live_bar("MSFT", "2025-01-10")])
    # A correction a year later makes no history of what was live.
    lake.land([live_bar("IBM", "2024-12-31", close=100.5, kafka_timestamp=pd.Timestamp("2025-12-31", tz="UTC"))])
    run_build(shared_build_settings)
    return shared_build_settings


@pytest.fixture
def commanded(market: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name, value in as_environment(market).items():
        monkeypatch.setenv(name, value)
    yield market


def said(settings: Settings, now: datetime) -> dict[str, tuple[str, int]]:
    return {each.series.symbol: (each.status, each.late) for each in look(settings, open_storage(settings), now).verdicts}


def sessions_between(after: str, until: datetime) -> int:
    sessions = exchange_calendars.get_calendar("XNYS", start="2013-01-01").sessions
    return int(((sessions > after) & (sessions <= until.strftime("%Y-%m-%d"))).sum())


def test_a_feed_that_stopped_is_red_a_replay_beside_it_is_green_and_so_is_what_nobody_knows(market: Settings) -> None:
    late = sessions_between("2024-12-31", SATURDAY)
    expected = {"IBM": ("stale", late), "MSFT": ("fresh", 0), "NONAME": ("unknown", 0)}
    assert said(market, SATURDAY) == {**expected, **dict.fromkeys(("AAPL", "FB", "GOOG"), ("replayed", 0))}
    assert said(market, SATURDAY + timedelta(days=1)) == said(market, SATURDAY), "a Sunday ages nothing"
    assert late == 6, "New Year's Day, a day of mourning and two weekends are none"


def test_a_retired_symbol_and_a_lost_warehouse_make_nothing_red(market: Settings) -> None:
    retired = market.freshness.model_copy(update={"retired_symbols": ("IBM",)})
    assert said(market.model_copy(update={"freshness": retired}), SATURDAY)["IBM"][0] == "retired"
    hidden = market.warehouse_path.rename(market.warehouse_path.with_suffix(".away"))
    try:
        assert {status for status, _late in said(market, SATURDAY).values()} == {"fresh", "unknown"}
        assert not market.warehouse_path.exists(), "a look makes no warehouse"
    finally:
        hidden.rename(market.warehouse_path)


def test_the_days_that_are_listed_are_those_that_the_table_of_quality_counts(market: Settings) -> None:
    found = find_gaps(market, open_storage(market), SATURDAY)
    with SnapshotReader(open_storage(market)).pin() as snapshot:
        assert snapshot is not None
        counted = snapshot.query(
            "select symbol, sum(missing_bars)::bigint as days from fct_data_quality where missing_bars > 0 group by symbol"
        ).to_pylist()
    assert {each.symbol: len(each.days) for each in found.gaps} == {row["symbol"]: row["days"] for row in counted}
    assert {each.symbol for each in found.gaps} == {"IBM", "MSFT"}, "between their history and what is live"
    assert (found.looked_at, found.unknown) == (5, ("NONAME",))


def test_dagster_checks_both_in_jobs_of_their_own_by_the_clock_and_no_build_does(commanded: Settings) -> None:
    repository = definitions().get_repository_def()
    running = {schedule.job_name: schedule.default_status for schedule in repository.schedule_defs}
    evaluated = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for job in ("freshness", "gaps"):
            assert running[job] is dg.DefaultScheduleStatus.RUNNING
            [check] = repository.get_job(job).execute_in_process(instance=instance).get_asset_check_evaluations()
            evaluated[job] = check
            assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    checked = {name: [record.data for record in check.metadata["found"].records] for name, check in evaluated.items()}
    assert [row["symbol"] for row in checked["freshness"]] == ["IBM", "MSFT"]
    assert checked["freshness"][0]["newest_bar"] == "2024-12-31"
    assert {row["symbol"]: row["days"][:22] for row in checked["gaps"]}["IBM"] == "2013-03-04, 2013-03-05"
    assert all("and 2," in row["days"] for row in checked["gaps"]), "so many more"
    build = repository.get_job("build").asset_layer.asset_graph
    assert {check.name for check in build.asset_check_keys}.isdisjoint(each.check_name for each in evaluated.values())


def test_a_check_names_so_many_says_how_many_more_and_is_as_grave_as_settings_say() -> None:
    found = GapsFound(tuple(Gaps(f"S{number:03}", (date(2025, 1, 2),)) for number in range(SHOWN + 7)), SHOWN + 7, ())
    result = gaps_result(found, FreshnessSettings(severity="error"))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (len(result.metadata["found"].records), result.metadata["not_shown"].value) == (SHOWN, 7)


def test_the_command_line_names_what_is_stale_and_ends_with_1(commanded: Settings) -> None:
    listed = CliRunner().invoke(app, ["freshness", "--json"])
    assert listed.exit_code == 1
    stale = [each["symbol"] for each in map(json.loads, listed.output.splitlines()) if each["status"] == "stale"]
    assert stale == ["IBM", "MSFT"]
    for command in ("freshness", "docs freshness"):
        told = CliRunner().invoke(app, command.split())
        assert told.exit_code == 1
        assert "2 stale, 1 unknown, 3 replayed" in told.output
    gaps = CliRunner().invoke(app, ["gaps", "--json"])
    assert gaps.exit_code == 0
    days = {each["symbol"]: each["missing_days"] for each in map(json.loads, gaps.output.splitlines())}
    assert days["IBM"][0] == "2013-03-04"
