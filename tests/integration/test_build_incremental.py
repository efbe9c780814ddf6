"""However bars come, and wherever builds are killed, the tables are in the end what a full refresh makes of it all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lake import Lake, bar, run_models

from tickhouse.bar import INTERVALS
from tickhouse.settings import Settings
from transform.build import run_build, validate
from transform.build_lock import build_lock
from transform.warehouse import begin_build, finish_build, open_warehouse

MODELS = (
    "stg_bar",
    "int_quarantined_bar",
    "int_landed_bar",
    "fct_data_quality",
    "int_derived_bar",
    "int_bar",
    "int_indicator",
    "int_chosen_indicator",
    "fct_quality_event",
    "dim_alert_rule",
    "fct_alert",
)
"""In the order in which they are built; what follows is views."""

VIEWS = {"int_bar", "int_chosen_indicator", "dim_alert_rule"}
SEEDS = ("alert_rule", "instrument", "split_ratio")
ONLY_MODELS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")

BEGIN = datetime(2020, 1, 6, 14, 30, tzinfo=UTC)
SERIES = (("AAPL", "1d"), ("B", "1d"), ("B", "1m"), ("C", "1m"), ("C", "1h"))
LATECOMERS = (("LATE", "1d"), ("C", "5m"))


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    return Lake(build_settings)


def build(lake: Lake, until: str | None = None) -> None:
    """A build's models, or those up to one after which it is killed."""
    assert validate(lake.settings, lake.storage).blocked is None
    with build_lock(lake.settings):
        begun = begin_build(lake.settings, lake.storage)
        selected = () if until is None else ("--select", "resource_type:seed", *MODELS[: MODELS.index(until) + 1])
        run_models(lake.settings, "build", *ONLY_MODELS, *selected)
        if until is None:
            finish_build(lake.settings, begun)


def micro_batches(seed: int) -> Iterator[list[dict[str, Any]]]:
    """Appends with gaps, repeats, late bars, corrections, series that begin late and some that stay short, in random batches."""
    rng = random.Random(seed)
    ends = dict.fromkeys(SERIES, 0)
    for number in range(9):
        if number == 4:
            ends |= dict.fromkeys(LATECOMERS, 0)
        batch = []
        for series, end in ends.items():
            places = []
            for _ in range(rng.choice((0, 3, 30) if series != ("AAPL", "1d") else (0, 1, 2))):
                end += rng.choice((0,) * 12 + (1, 90))  # a gap, perhaps filled by a late bar
                places.append(end)
                end += 1
            if end and rng.random() < 0.7:
                places.append(rng.randrange(end))
            ends[series] = end
            batch += [random_bar(rng, *series, place) for place in places]
        if batch:
            yield batch + rng.sample(batch, len(batch) // 5)


def random_bar(rng: random.Random, symbol: str, interval: str, place: int) -> dict[str, Any]:
    close, volume = round(rng.uniform(90, 110), 2), rng.choice((0.0, 5000.0, 0.1))
    close *= rng.choice((1,) * 15 + (0.5,))  # a suspected split, at times
    begin = BEGIN if interval != "1d" else BEGIN.replace(hour=0, minute=0)
    ts = begin + timedelta(seconds=INTERVALS[interval] * place)
    broken = {"high": 0.5} if rng.random() < 0.03 else {}
    return bar(symbol, 0, close, interval=interval, ts=ts, volume=volume, **broken)


def rows(settings: Settings, table: str) -> list[tuple[object, ...]]:
    """Every cell but the number of the build that wrote it; DuckDB prints a double so that it reads back to the bit."""
    with open_warehouse(settings) as connection:
        described = connection.execute(f"describe {table}").fetchall()
        columns = [f'"{name}"::varchar' for name, *_ in described if name not in ("change_seq", "slot_seq")]
        return sorted(connection.execute(f"select {', '.join(columns)} from {table}").fetchall(), key=repr)


def assert_nothing_is_left_lying(settings: Settings) -> None:
    with open_warehouse(settings) as connection:
        tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
    assert {name for (name,) in tables} == {*MODELS, *SEEDS} - VIEWS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_builds_killed_between_any_two_models_come_to_what_a_full_refresh_makes(lake: Lake, seed: int) -> None:
    rng = random.Random(seed)
    killed_after = rng.sample((*MODELS, None, None), 9)
    for batch, until in zip(micro_batches(seed), killed_after, strict=False):
        lake.land(batch)
        build(lake, until)
    build(lake)
    tables = (*MODELS, "fct_indicator")
    incremental = {table: rows(lake.settings, table) for table in tables}
    assert_nothing_is_left_lying(lake.settings)
    run_models(lake.settings, "build", "--full-refresh", *ONLY_MODELS)
    for table in tables:
        assert incremental[table] == rows(lake.settings, table), table
        assert incremental[table], table


def test_a_warehouse_of_the_version_before_derived_bars_goes_on(lake: Lake) -> None:
    batches = list(micro_batches(4))
    for batch in batches[:-1]:
        lake.land(batch)
    run_build(lake.settings)
    with open_warehouse(lake.settings) as connection:
        for view in ("fct_indicator", "int_chosen_indicator", "int_bar"):
            connection.execute(f"drop view {view}")
        connection.execute("create table int_bar as from int_landed_bar; drop table int_landed_bar; drop table int_derived_bar")
        connection.execute("alter table int_indicator drop column macd")
        connection.execute("alter table control.build drop column derived_intervals")
        connection.execute("update control.build set fingerprint = 'of that version'")
    lake.land(batches[-1])
    run_build(lake.settings)
    upgraded = {table: rows(lake.settings, table) for table in (*MODELS, "fct_indicator")}
    run_build(lake.settings, is_full_refresh=True)
    assert upgraded == {table: rows(lake.settings, table) for table in upgraded}
