"""Which event months Dagster is told of: those that really changed, and of a backfill those that were asked for."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from lake import BEGUN_AT, Lake, bar

from orchestration.definitions import definitions
from orchestration.jobs import JOBS
from tickhouse.settings import Settings, as_environment
from transform.build import validate
from transform.changed_months import BY_MONTH
from transform.snapshot.manifest import latest_manifest
from transform.warehouse import open_warehouse


@pytest.fixture
def lake(build_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    for name, value in as_environment(build_settings).items():
        monkeypatch.setenv(name, value)
    return Lake(build_settings)


def run(instance: dg.DagsterInstance, job: str = "build", tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
    result = definitions().get_repository_def().get_job(job).execute_in_process(instance=instance, tags=tags)
    assert result.success
    return result


def months(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dict[str, set[str | None]]:
    told: dict[str, set[str | None]] = defaultdict(set)
    for entry in instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.get_dagster_event()
        assert event.asset_key is not None
        told[event.asset_key.to_user_string()].add(event.partition)
    return told


def is_in_sync(instance: dg.DagsterInstance, asset: str) -> bool:
    """As the UI says."""
    graph = definitions().get_repository_def().asset_graph
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return resolver.get_status(dg.AssetKey(asset)) == StaleStatus.FRESH


def indicators(settings: Settings) -> set[tuple[str, str]]:
    """The month and all values of each bar's indicators and state."""
    with open_warehouse(settings) as connection:
        rows = connection.execute("select strftime(ts, '%Y-%m'), (columns(* exclude (change_seq))::varchar) from int_indicator")
        return {(row[0], "|".join(map(str, row[1:]))) for row in rows.fetchall()}


def test_a_run_tells_the_months_that_changed_and_those_after_it_as_far_as_values_did_and_no_other(lake: Lake) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        old = [bar("OLD", 0, 10.0 + month, ts=BEGUN_AT.replace(year=1950, month=month)) for month in (3, 4)]
        lake.land([bar("A", day, 100.0 + day % 7) for day in range(1100)] + old)
        first = months(instance, run(instance))
        assert {"1950-03", "1950-04", "2020-01", "2023-01"} <= first["fct_indicator"]
        assert None not in set().union(*(first[name] for name in BY_MONTH if name in first))
        assert months(instance, run(instance)).keys().isdisjoint(BY_MONTH), "nothing landed, nothing changed"

        before = indicators(lake.settings)
        lake.land([bar("A", 40, 107.0), bar("A", 1100, 100.0)])
        second = months(instance, run(instance))
        assert second["stg_bar"] == second["int_landed_bar"] == {"2020-02", "2023-01"}
        different = {month for month, _row in before ^ indicators(lake.settings)}
        assert second["int_indicator"] == second["fct_indicator"] == different
        assert {"2020-03", "2023-01"} <= different
        assert "2020-01" not in different
        assert second["published_snapshot"] == {None}


def test_who_asks_for_assets_gets_each_with_its_checks_in_one_run(lake: Lake) -> None:
    whole = definitions().resolve_implicit_global_asset_job_def()
    graph = whole.asset_layer.asset_graph
    own = {key for key in graph.materializable_asset_keys if graph.get(key).partitions_def is None}
    checks = graph.get_check_keys_for_assets(own)
    with dg.DagsterInstance.ephemeral() as instance:
        for days in (range(40), range(40, 41)):
            lake.land([bar("A", day, 100.0 + day % 7) for day in days])
            run(instance)
        assert is_in_sync(instance, "fct_batch_quality")
        result = whole.get_subset(asset_selection=own, asset_check_selection=checks).execute_in_process(instance=instance)
        assert result.success
        assert months(instance, result) == {key.to_user_string(): {None} for key in own}
        said = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        evaluated = {entry.get_dagster_event().asset_check_evaluation_data.asset_check_key for entry in said}
        assert evaluated >= checks, "also those that a build of new bars leaves to the night"
        assert all(is_in_sync(instance, key.to_user_string()) for key in own)


def test_who_asks_for_one_model_has_what_was_new_published_and_told(lake: Lake) -> None:
    whole = definitions().resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        lake.land([bar("A", day, 100.0 + day % 7) for day in range(40)])
        run(instance)
        lake.land([bar("A", 70, 100.0)])
        validate(lake.settings, lake.storage)
        one = whole.get_subset(asset_selection={dg.AssetKey("fct_batch_quality")}).execute_in_process(instance=instance)
        told = months(instance, one)
        assert told["fct_batch_quality"] == told["published_snapshot"] == {None}
        assert told["fct_indicator"] == {"2020-03"}
        assert is_in_sync(instance, "published_snapshot")
        newest = latest_manifest(lake.storage)
        assert newest is not None
        assert newest.balance.current == 41


def test_a_range_is_rebuilt_by_one_run_that_publishes_and_tells_how_far_it_is(lake: Lake) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        lake.land([bar("A", day, 100.0 + day % 7) for day in range(120)])
        run(instance)
        assert is_in_sync(instance, "published_snapshot")
        with open_warehouse(lake.settings) as connection:
            connection.execute("update stg_bar set close = 101 where ts = '2020-02-10'")
        asked = {ASSET_PARTITION_RANGE_START_TAG: "2020-02", ASSET_PARTITION_RANGE_END_TAG: "2020-03"}
        result = run(instance, "backfill", asked)
        told = months(instance, result)
        assert told["int_landed_bar"] == {"2020-02", "2020-03"}
        assert told["fct_indicator"] >= {"2020-02", "2020-03"}
        said = [entry.user_message for entry in instance.all_logs(result.run_id)]
        assert any("slots, read again: 1 of 1" in line for line in said)
        assert any("rebuilt 2020-02 to 2020-03 from 1 slots" in line for line in said)
        assert is_in_sync(instance, "published_snapshot")


def test_every_job_beside_the_build_does_its_work(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0) for day in range(3)])
    with dg.DagsterInstance.ephemeral() as instance:
        for job in (
            "build_by_hand",
            "full_refresh",
            "revalidate",
            "compact",
            "document",
            "retention",
            "run_retention",
            "publish",
        ):
            run(instance, job)
    newest = latest_manifest(lake.storage)
    assert newest is not None
    assert newest.balance.current == 3
    assert all(job.description for job in JOBS)


def test_a_backfill_of_the_months_of_models_is_one_run() -> None:
    models = definitions().get_repository_def().asset_graph
    for name in BY_MONTH:
        node = models.get(dg.AssetKey(name))
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), name
        assert isinstance(node.partitions_def, dg.MonthlyPartitionsDefinition), name
        next_month = (BEGUN_AT.now(BEGUN_AT.tzinfo).replace(day=1) + timedelta(days=31)).strftime("%Y-%m")
        assert {"1950-01", next_month} <= set(node.partitions_def.get_partition_keys()), name
