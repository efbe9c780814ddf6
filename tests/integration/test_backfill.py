"""Months rebuilt are what a full refresh makes, bit for bit, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import great_expectations.expectations as gxe
import pytest
from lake import Lake, bar
from typer.testing import CliRunner

from apps.cli.main import app
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform import warehouse
from transform.backfill import Backfill, rebuild_months, scope_of
from transform.build import ValidationBlockedError, run_build
from transform.marts import FCT_INDICATOR
from transform.months import Months
from transform.snapshot.manifest import latest_manifest
from transform.validation import judge
from transform.validation.suite import RULE, row_suite
from transform.warehouse import open_warehouse

MARCH = Months.between("2020-03", "2020-03")
SMALL = 5.0

Other = Callable[[], None]


@pytest.fixture
def lake(build_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Five months of two symbols, a slot a month; little volume on two days of March, on one that ends a series, and in May."""
    monkeypatch.setattr(warehouse, "ANEW_FROM_SHARE", 1.0)
    lake = Lake(build_settings)
    for month in range(5):
        days = range(30 * month, 30 * month + 30)
        lake.land(
            [
                bar(symbol, day, 100.0 + day % 7 * (2 if symbol == "A" else 3), volume=volume(symbol, day))
                for day in days
                for symbol in "AB"
            ]
        )
    lake.land([bar("ENDS", day, 10.0 + day, volume=1.0 if day == 80 else 9.0) for day in range(70, 81)])
    hour = {"interval": "1h", "volume": 9.0}
    lake.land([bar("H", day, 10.0, **{**hour, "volume": 1.0 if day == 75 else 9.0}) for day in range(70, 80)])
    return lake


def volume(symbol: str, day: int) -> float:
    return 1.0 if (symbol, day) in {("A", 65), ("A", 66), ("B", 130)} else 1000.0


@pytest.fixture
def other_rules(monkeypatch: pytest.MonkeyPatch) -> Other:
    """Refuses a volume below 5 from then on."""

    def changed() -> None:
        def suite() -> object:
            made = row_suite()
            rule = {RULE: "volume_is_not_small"}
            made.add_expectation(gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=SMALL, meta=rule, notes="…"))
            return made

        monkeypatch.setattr(judge, "row_suite", suite)

    return changed


def backfill(lake: Lake, months: Months = MARCH) -> Backfill:
    return rebuild_months(lake.settings, lake.storage, months, lambda _stage, _done, _total: None)


def contents(settings: Settings) -> Mapping[str, Any]:
    newest = latest_manifest(open_storage(settings))
    assert newest is not None
    return {name: (mart.rows, mart.content) for name, mart in newest.marts.items() if name != "alert_event"}


def change_seqs(settings: Settings) -> dict[str, int]:
    tables = (
        "stg_bar",
        "int_quarantined_bar",
        "int_landed_bar",
        "int_derived_bar",
        "int_indicator",
        "fct_alert",
        "fct_data_quality",
    )
    with open_warehouse(settings) as connection:
        return {
            table: connection.execute(f"select coalesce(sum(change_seq), 0)::bigint from {table}").fetchall()[0][0]
            for table in tables
        }


def assert_it_equals_a_full_refresh(lake: Lake) -> None:
    rebuilt = contents(lake.settings)
    run_build(lake.settings, is_full_refresh=True)
    assert rebuilt == contents(lake.settings)


def test_the_months_follow_the_present_rules_and_equal_a_full_refresh(lake: Lake, other_rules: Other) -> None:
    run_build(lake.settings)
    before = contents(lake.settings)
    other_rules()
    done = backfill(lake)
    assert done.judged.quarantined == 4, "two days of A, the last of a series, and one hour; what May holds is left"
    assert contents(lake.settings)[FCT_INDICATOR] != before[FCT_INDICATOR]
    assert "2020-02" not in done.changed[FCT_INDICATOR]
    assert "2020-03" in done.changed[FCT_INDICATOR]
    with open_warehouse(lake.settings) as connection:
        gone = connection.execute(
            "select count(*) from int_indicator where (symbol, ts) in (('ENDS', '2020-03-21 00:00Z'), ('A', '2020-03-06 00:00Z'))"
        ).fetchall()
        assert gone == [(0,)]
    assert run_build(lake.settings).manifest.number == done.manifest.number, "nothing is left for the next build"
    assert_it_equals_a_full_refresh(lake)


def test_where_nothing_is_another_nothing_is_written_or_published(lake: Lake) -> None:
    number = run_build(lake.settings).manifest.number
    before = change_seqs(lake.settings)
    done = backfill(lake, Months.between("2020-01", "2020-05"))
    assert done.manifest.number == number
    assert set(map(len, done.changed.values())) == {0}
    assert change_seqs(lake.settings) == before
    run_build(lake.settings)
    assert change_seqs(lake.settings) == before, "a later build does not go over it again"


def test_what_somebody_changed_in_the_warehouse_is_mended(lake: Lake) -> None:
    run_build(lake.settings)
    with open_warehouse(lake.settings) as connection:
        connection.execute("update stg_bar set close = 1 where symbol = 'A' and ts = '2020-03-10'")
        connection.execute("delete from stg_bar where symbol = 'B' and ts = '2020-03-11'")
        connection.execute("update int_landed_bar set close = 2, basis_close = 2 where symbol = 'B' and ts = '2020-03-12'")
        connection.execute("update int_indicator set sma_20 = 0 where symbol = 'B' and ts = '2020-03-13'")
    backfill(lake)
    assert_it_equals_a_full_refresh(lake)


@pytest.mark.parametrize("point", ["build_models", "finish_build"])
def test_one_that_is_killed_is_finished_by_the_next_build(
    lake: Lake, other_rules: Other, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    run_build(lake.settings)
    other_rules()

    def kill(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(f"transform.build.{point}", kill)
        with pytest.raises(KeyboardInterrupt):
            backfill(lake)
    lake.land([bar("A", 151, 50.0)])
    run_build(lake.settings)
    assert_it_equals_a_full_refresh(lake)


def test_what_lands_meanwhile_is_the_next_builds(lake: Lake, other_rules: Other) -> None:
    run_build(lake.settings)
    other_rules()

    def land(stage: str, _done: int, _total: int | None) -> None:
        if stage == "slots, read again" and lake.position < 1000:
            lake.pass_over(1000)
            lake.land([bar("NEW", 65, 100.0)])

    done = rebuild_months(lake.settings, lake.storage, MARCH, land)
    built = run_build(lake.settings).manifest
    assert built.balance.current == done.manifest.balance.current + 1
    assert_it_equals_a_full_refresh(lake)


def test_a_batch_that_is_refused_changes_nothing(lake: Lake, other_rules: Other) -> None:
    number = run_build(lake.settings).manifest.number
    other_rules()
    strict = lake.settings.validation.model_copy(update={"block_from_rows": 1, "max_quarantined_pct": 1})
    lake.settings = lake.settings.model_copy(update={"validation": strict})
    with pytest.raises(ValidationBlockedError, match="fail validation"):
        backfill(lake)
    newest = latest_manifest(lake.storage)
    assert newest is not None
    assert newest.number == number


def test_only_slots_that_hold_bars_of_the_months_are_read(lake: Lake) -> None:
    assert {position for _chain, position in scope_of(lake.storage, MARCH).slots} == {120, 180, 300, 311}
    assert scope_of(lake.storage, Months.between("1999-01", "2019-12")).slots == frozenset()


def test_the_command_says_how_much_that_is_and_what_it_came_to(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.cli.pipeline.start", lambda *_args, **_kwargs: lake.settings)

    def run(*arguments: str) -> str:
        return CliRunner().invoke(app, ["backfill", *arguments]).output

    march = ("--from", "2020-03", "--to", "2020-03")
    assert "4 slots with 141 bars" in run(*march, "--dry-run")
    assert latest_manifest(lake.storage) is None
    assert "2020-04 comes after 2020-03" in run("--from", "2020-04", "--to", "2020-03")
    assert "such as 2008-01" in run("--from", "2020", "--to", "2020-03")
    said = run(*march)
    assert "Rebuilt 2020-03: read 4 slots with 141 bars again." in said
