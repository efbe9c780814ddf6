"""What a build makes of replayed dead letters: each counts once, at the place that it first had."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from lake import BEGUN_AT, Lake, bar, run_models

from ingestion.chain.slot import Chain, Genesis
from tickhouse.bar import ORIGIN_SCHEMA
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.build import run_build, validate
from transform.build_lock import build_lock
from transform.warehouse import begin_build, open_warehouse


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    return Lake(build_settings)


def at(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(BEGUN_AT) + pd.Timedelta(seconds=seconds)


def replayed(symbol: str, close: float, offset: int, seconds: float, topic_id: str = "incarnation-1") -> dict[str, Any]:
    """A bar that is sent again now, and first came at `offset`, so many seconds after the lake was begun."""
    origin = {"origin_topic_id": topic_id, "origin_partition": 0, "origin_offset": offset, "origin_timestamp": at(seconds)}
    return bar(symbol, 0, close, kafka_timestamp=at(3600), **origin)


def current(settings: Settings) -> list[tuple[Any, ...]]:
    with open_warehouse(settings) as connection:
        return connection.execute("select symbol, close from int_landed_bar order by symbol").fetchall()


def assert_a_full_refresh_agrees(settings: Settings) -> None:
    incremental = current(settings)
    run_models(settings, "run", "--full-refresh", "--select", "stg_bar", "int_landed_bar")
    assert current(settings) == incremental


@pytest.mark.parametrize("is_built_between", [True, False])
def test_a_replay_never_beats_a_later_correction_and_beats_what_was_earlier(lake: Lake, is_built_between: bool) -> None:
    lake.land([bar("CORRECTED", 0, 2.0, kafka_timestamp=at(10)), bar("STALE", 0, 1.0, kafka_timestamp=at(10))])
    if is_built_between:
        run_build(lake.settings)
    lake.land([replayed("CORRECTED", 1.0, 500, 5), replayed("STALE", 2.0, 501, 15)])
    balance = run_build(lake.settings).manifest.balance
    assert current(lake.settings) == [("CORRECTED", 2.0), ("STALE", 2.0)]
    assert balance.model_dump() == {"landed": 4, "current": 2, "superseded": 2, "quarantined": 0}
    assert_a_full_refresh_agrees(lake.settings)


def test_a_correction_that_comes_after_the_replay_wins(lake: Lake) -> None:
    lake.land([replayed("A", 1.0, 500, 5)])
    run_build(lake.settings)
    lake.land([bar("A", 0, 2.0, kafka_timestamp=at(6))])  # later than the dead letter, though earlier than its replay
    run_build(lake.settings)
    assert current(lake.settings) == [("A", 2.0)]
    assert_a_full_refresh_agrees(lake.settings)


def test_two_replays_of_one_dead_letter_count_once(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    lake.land([replayed("B", 2.0, 500, 5)])
    run_build(lake.settings)
    lake.land([replayed("B", 3.0, 500, 5), replayed("OTHERWISE_MENDED", 4.0, 500, 5)])
    balance = run_build(lake.settings).manifest.balance
    assert current(lake.settings) == [("A", 1.0), ("B", 2.0)]
    assert balance.model_dump() == {"landed": 4, "current": 2, "superseded": 2, "quarantined": 0}
    assert_a_full_refresh_agrees(lake.settings)


def test_a_replay_that_went_to_quarantine_leaves_its_place_to_the_next(lake: Lake) -> None:
    lake.land([replayed("A", -1.0, 500, 5)])
    lake.land([replayed("A", 1.0, 500, 5)])
    balance = run_build(lake.settings).manifest.balance
    assert current(lake.settings) == [("A", 1.0)]
    assert balance.model_dump() == {"landed": 2, "current": 1, "superseded": 0, "quarantined": 1}


def test_a_dead_letter_of_an_earlier_topic_counts_with_that_topic(lake: Lake) -> None:
    second = Chain("bars", "incarnation-2", 0)
    lake.storage.put_if_absent(second.genesis_key, Genesis(0, BEGUN_AT + timedelta(hours=1)).encode())
    renewed = Lake(lake.settings, second)
    lake.land([bar("STALE", 0, 1.0, kafka_timestamp=at(10)), bar("STRANGE", 0, 1.0, kafka_timestamp=at(10))])
    renewed.land([bar("RENEWED", 0, 1.0, kafka_timestamp=at(20))])
    run_build(lake.settings)
    renewed.land(
        [
            replayed("STALE", 2.0, 500, 15),
            replayed("RENEWED", 2.0, 501, 30),
            replayed("STRANGE", 2.0, 502, 30, topic_id="never-landed-here"),
        ]
    )
    run_build(lake.settings)
    assert current(lake.settings) == [("RENEWED", 1.0), ("STALE", 2.0), ("STRANGE", 1.0)]
    assert_a_full_refresh_agrees(lake.settings)


def model_batch(settings: Settings) -> None:
    """What a build does up to `int_landed_bar`."""
    storage = open_storage(settings)
    assert validate(settings, storage).blocked is None
    with build_lock(settings):
        begin_build(settings, storage)
        run_models(settings, "run", "--select", "stg_bar", "int_landed_bar")


def by_rule(batches: list[list[dict[str, Any]]]) -> list[tuple[Any, ...]]:
    """Of what came from one place the first that landed; of these, for each symbol, the one with the newest place."""
    places: dict[int, dict[str, Any]] = {}
    own = 0
    for batch in batches:
        for row in batch:
            place = own if pd.isna(row["origin_offset"]) else row["origin_offset"]
            places.setdefault(place, {**row, "at": row["kafka_timestamp"] if place == own else row["origin_timestamp"]})
            own += 1
    newest: dict[str, tuple[Any, int, float]] = {}
    for place, row in places.items():
        newest[row["symbol"]] = max(newest.get(row["symbol"], (at(-1), 0, 0.0)), (row["at"], place, row["close"]))
    return sorted((symbol, close) for symbol, (_, _, close) in newest.items())


def test_any_replays_in_any_order_count_by_the_rule_build_by_build_and_all_at_once(lake: Lake) -> None:
    rng = random.Random(7)
    batches = []
    for _ in range(5):
        batch = []
        for _ in range(12):
            symbol, close, lost = rng.choice("ABCD"), float(rng.randrange(1, 1000)), 500 + rng.randrange(20)
            if rng.random() < 0.6:
                batch.append(replayed(symbol, close, lost, lost - 500))
            else:
                nobodys = dict.fromkeys(ORIGIN_SCHEMA.names)
                batch.append(bar(symbol, 0, close, kafka_timestamp=at(rng.randrange(20)), **nobodys))
        lake.land(batch)
        model_batch(lake.settings)
        batches.append(batch)
        assert current(lake.settings) == by_rule(batches)
    assert_a_full_refresh_agrees(lake.settings)


def test_a_warehouse_from_before_replays_goes_on(lake: Lake) -> None:
    lake.land([bar("A", 0, 2.0, kafka_timestamp=at(10)), bar("B", 0, 1.0, kafka_timestamp=at(10))])
    run_build(lake.settings)
    with open_warehouse(lake.settings) as connection:
        connection.execute("drop view int_bar; alter table int_landed_bar rename to int_bar")  # as it was called then
        connection.execute("update control.build set project = null")
        for table in ("stg_bar", "int_bar"):
            for name in (*ORIGIN_SCHEMA.names, "origin_begun_at"):
                connection.execute(f"alter table {table} drop column {name}")
    lake.land([replayed("A", 1.0, 500, 5), replayed("B", 2.0, 501, 15)])
    run_build(lake.settings)
    assert current(lake.settings) == [("A", 2.0), ("B", 2.0)]
