"""The sensor asks for one run for all that is new, and again, less and less often, for what failed."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from lake import Lake, bar

from orchestration import sensors
from orchestration.definitions import definitions
from orchestration.resources import Platform
from orchestration.sensors import LONGEST_BACKOFF_SECONDS, Cursor, new_slots, next_request, run_key
from tickhouse.settings import Settings, as_environment
from transform import unpublished
from transform.build import run_build, validate
from transform.build_lock import build_lock
from transform.unpublished import Unpublished


@pytest.fixture
def lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sensors, "LOOK_FOR_SECONDS", 0.0)
    return Lake(settings)


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    context = dg.build_sensor_context(instance, cursor=cursor, definitions=definitions())
    return new_slots(context, platform=Platform())


def test_nothing_landed_asks_for_nothing(lake: Lake) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(tick(instance), dg.SkipReason)


def test_all_that_landed_is_one_run_until_it_is_published(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    lake.land([bar("A", 1, 1.0)])
    with dg.DagsterInstance.ephemeral() as instance:
        asked = tick(instance)
        assert len(asked.run_requests) == 1
        run_build(lake.settings)
        assert isinstance(tick(instance, asked.cursor), dg.SkipReason)


def test_a_look_walks_only_what_is_new(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.land([bar("A", 0, 1.0)])
    looking = Unpublished(lake.storage, {})
    assert looking.ends() == {lake.chain.path: 1}
    lake.land([bar("A", 1, 1.0)])
    walked = []
    monkeypatch.setattr(unpublished, "walk", lambda storage, chain, at: walked.append(at) or ())
    looking.ends()
    Unpublished(lake.storage, {lake.chain.path: 1}).ends()
    assert walked == [1, 1]


def test_what_lands_during_a_look_is_asked_for_by_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "LOOK_FOR_SECONDS", 60.0)
    landing = iter([lambda: None, lambda: lake.land([bar("A", 0, 1.0)])])
    monkeypatch.setattr(sensors.time, "sleep", lambda _seconds: next(landing)())
    with dg.DagsterInstance.ephemeral() as instance:
        assert len(tick(instance).run_requests) == 1


def test_one_more_run_is_asked_for_beside_one_that_takes_no_more(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(instance)
        start_build(instance)
        lake.land([bar("A", 1, 1.0)])
        assert skips(instance, first.cursor), "the run in progress takes it: it has not validated"
        validate(lake.settings, lake.storage)
        assert skips(instance, first.cursor), "nothing is left for another"
        lake.land([bar("A", 2, 1.0)])
        assert skips(instance, first.cursor), "it may be that the run in progress is about to validate it"
        with build_lock(lake.settings):  # as a run that models
            second = tick(instance, first.cursor)
            assert len(second.run_requests) == 1
            start_build(instance)
            lake.land([bar("A", 3, 1.0)])
            assert skips(instance, second.cursor), "two are in progress"


def start_build(instance: dg.DagsterInstance) -> None:
    job = definitions().get_repository_def().get_job("build")
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)


def skips(instance: dg.DagsterInstance, cursor: str) -> bool:
    answer = tick(instance, cursor)
    return isinstance(answer, dg.SkipReason) and "is in progress" in (answer.skip_message or "")


def test_a_failed_range_waits_twice_as_long_each_time() -> None:
    ends = {"chain": 10}
    cursor, wait = next_request(Cursor({}), ends, 100.0)
    assert wait == 0
    waits, keys = [], {run_key(cursor)}
    for _ in range(12):
        asked, wait = next_request(cursor, ends, cursor.requested_at)
        waits.append(wait)
        keys.add(run_key(asked))
        cursor = asked
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == LONGEST_BACKOFF_SECONDS
    assert len(keys) == 13, "each attempt is a run of its own"


def test_new_slots_after_a_failure_are_asked_for_at_once() -> None:
    failed = Cursor({"chain": 10}, attempt=5, requested_at=100.0)
    asked, wait = next_request(failed, {"chain": 11}, 100.1)
    assert (asked.attempt, wait) == (0, 0.0)


def test_builds_begin_no_more_often_than_settings_say() -> None:
    begun = Cursor({"chain": 10}, requested_at=100.0)
    assert next_request(begun, {"chain": 11}, 101.0, 5.0)[1] == 4.0
    assert next_request(begun, {"chain": 11}, 105.0, 5.0)[1] == 0.0


def test_a_repeated_tick_has_the_same_run_key() -> None:
    assert run_key(Cursor({"a": 1, "b": 2})) == run_key(Cursor({"b": 2, "a": 1}, requested_at=9.0))
