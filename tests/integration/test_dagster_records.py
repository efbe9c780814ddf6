"""Dagster's records, in SQLite and in a real Postgres: they hold what Dagster asks of them, and go in time."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import dagster as dg
import pytest

from orchestration.instance import AddressMissingError, open_instance
from orchestration.processes import dagster_processes, prepare_home
from orchestration.records import Kept, remove_old_records
from orchestration.sqlite import EventLog
from orchestration.telling import tell
from tickhouse.settings import Settings

NOW = datetime.now(UTC)
LONG = timedelta(days=1)
MONTHS = dg.MonthlyPartitionsDefinition("2020-01", fmt="%Y-%m")


@dg.asset(partitions_def=MONTHS)
def history(context: dg.AssetExecutionContext) -> None:
    tell(context, [dg.AssetMaterialization("history", partition=f"2020-{month:02}") for month in range(1, 13)])


@dg.op
def _noted(context: dg.OpExecutionContext) -> None:
    context.log.info("something is noted")


@dg.job
def often() -> None:
    _noted()


@dg.job
def seldom() -> None:
    _noted()


@pytest.fixture(params=["sqlite", "postgres"])
def chosen(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TICKHOUSE_DAGSTER__LAUNCHER", "stock")
    if request.param == "sqlite":
        return settings
    monkeypatch.setenv("RECORDS_URL", request.getfixturevalue("postgres_url"))
    return in_postgres(settings)


@pytest.fixture
def instance(chosen: Settings) -> Iterator[dg.DagsterInstance]:
    prepare_home(chosen)
    with open_instance(chosen) as instance:
        yield instance
        for run in instance.get_runs():
            instance.delete_run(run.run_id)


def in_postgres(settings: Settings) -> Settings:
    return settings.model_copy(update={"dagster": settings.dagster.model_copy(update={"postgres_url_variable": "RECORDS_URL"})})


def runs_of(instance: dg.DagsterInstance, job: str) -> list[str]:
    return [run.run_id for run in instance.get_runs(dg.RunsFilter(job_name=job))]


def test_months_that_are_told_at_once_are_found_one_by_one(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "5")
    definitions = dg.Definitions([history], jobs=[dg.define_asset_job("told", [history])])
    run = definitions.resolve_job_def("told").execute_in_process(instance=instance, partition_key="2021-01")
    told = {f"2020-{month:02}" for month in range(1, 13)} | {"2021-01"}
    assert instance.get_materialized_partitions(history.key) == told
    newest = instance.get_latest_materialization_event(history.key)
    assert newest is not None and newest.run_id == run.run_id


def test_records_go_in_time_but_for_the_newest_of_each_job(instance: dg.DagsterInstance) -> None:
    seldom_run = seldom.execute_in_process(instance=instance).run_id
    going_on = instance.create_run_for_job(often, status=dg.DagsterRunStatus.STARTED).run_id
    often_runs = [often.execute_in_process(instance=instance).run_id for _number in range(6)]
    assert remove_old_records(instance, Kept(LONG, 100), NOW).runs == 0
    removed = remove_old_records(instance, Kept(LONG, 2), NOW)
    assert removed.runs == 4, "seven ended, two are kept, and the newest of a job"
    assert set(runs_of(instance, "often")) == {going_on, *often_runs[-2:]}
    assert runs_of(instance, "seldom") == [seldom_run]
    assert not instance.all_logs(often_runs[0])
    assert instance.all_logs(often_runs[-1])

    remove_old_records(instance, Kept(timedelta(0), 100), datetime.now(UTC) + timedelta(seconds=1))
    assert set(runs_of(instance, "often")) == {going_on, often_runs[-1]}


def test_old_observations_go_but_for_the_newest_of_each_asset(instance: dg.DagsterInstance) -> None:
    for asset in ("observed_often", "observed_often", "observed_once"):
        instance.report_runless_asset_event(dg.AssetObservation(asset))
    later = datetime.now(UTC) + timedelta(hours=2)
    assert remove_old_records(instance, Kept(timedelta(hours=1), 100), later).observations == 1
    for asset in ("observed_often", "observed_once"):
        assert len(instance.fetch_observations(dg.AssetKey(asset), limit=9).records) == 1


def test_old_evaluations_go_but_for_the_newest_of_each_check(instance: dg.DagsterInstance) -> None:
    asset = dg.AssetKey("checked")

    @dg.asset(key=asset, check_specs=[dg.AssetCheckSpec(name, asset=asset) for name in ("often", "seldom")])
    def checked() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        yield dg.MaterializeResult()
        for name in ("often", "seldom"):
            yield dg.AssetCheckResult(check_name=name, passed=True)

    for _number in range(4):
        dg.materialize([checked], instance=instance)
    assert remove_old_records(instance, Kept(LONG, 2), NOW).evaluations == 4
    for name in ("often", "seldom"):
        history = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(asset, name), limit=9)
        assert [each.run_id for each in history] == [run.run_id for run in instance.get_runs(limit=2)]


def test_what_was_removed_is_room_on_the_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_DAGSTER__LAUNCHER", "stock")
    prepare_home(settings)
    with open_instance(settings) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        file = Path(instance.event_log_storage.get_db_path())
        often.execute_in_process(instance=instance)
        for _number in range(300):
            instance.report_runless_asset_event(dg.AssetObservation("noisy", metadata={"text": "x" * 5000}))
    full = file.stat().st_size
    with open_instance(settings) as instance:
        remove_old_records(instance, Kept(timedelta(0), 1), datetime.now(UTC) + timedelta(seconds=1))
    assert file.stat().st_size < full / 4
    assert not (settings.dagster_home / "history" / "runs").exists(), "no file for each run"


def test_the_address_of_postgres_is_in_the_environment_of_dagsters_processes_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    chosen = in_postgres(settings)
    monkeypatch.delenv("RECORDS_URL", raising=False)
    with pytest.raises(AddressMissingError, match="RECORDS_URL, which is not set: export"):
        dagster_processes(chosen)
    monkeypatch.setenv("RECORDS_URL", postgres_url)
    home = prepare_home(chosen)
    secret = postgres_url.partition("://")[2]
    assert secret not in "".join(path.read_text() for path in home.glob("*.yaml"))
    processes = dagster_processes(chosen)
    assert all(process.environment["DAGSTER_POSTGRES_URL"].endswith(secret) for process in processes)
    assert not any(secret in argument for process in processes for argument in process.command)
    assert os.environ.get("DAGSTER_POSTGRES_URL") is None


def test_a_read_only_ui_is_asked_for_by_a_setting(settings: Settings) -> None:
    for read_only in (False, True):
        chosen = settings.model_copy(update={"dagster": settings.dagster.model_copy(update={"read_only": read_only})})
        [web] = [process for process in dagster_processes(chosen) if process.name == "dagster-webserver"]
        assert ("--read-only" in web.command) == read_only


def test_who_watches_a_run_hears_of_what_another_process_writes(instance: dg.DagsterInstance, chosen: Settings) -> None:
    run = instance.create_run_for_job(often, status=dg.DagsterRunStatus.STARTED)
    heard = Event()
    instance.watch_event_logs(run.run_id, None, lambda _entry, _cursor: heard.set())
    with open_instance(chosen) as another:
        another.report_engine_event("written elsewhere", run)
        assert heard.wait(10), "not told while the file is open elsewhere"
