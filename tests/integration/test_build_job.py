"""The build as Dagster runs it: one graph from the topic to the snapshot, and checks that gate."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import dagster as dg
import pytest
from lake import Lake, bar

from orchestration.definitions import definitions
from orchestration.watch import look_at_runs
from tickhouse.settings import Settings, as_environment
from transform.snapshot.manifest import latest_manifest

CHAIN_OF_ASSETS = [
    "bar_topic",
    "landed_slot",
    "validated_slot",
    "stg_bar",
    "int_landed_bar",
    "int_derived_bar",
    "int_bar",
    "int_indicator",
    "int_chosen_indicator",
    "fct_indicator",
    "published_snapshot",
]


@pytest.fixture
def lake(build_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    for name, value in as_environment(build_settings).items():
        monkeypatch.setenv(name, value)
    return Lake(build_settings)


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = definitions().get_repository_def().get_job("build")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def test_a_run_takes_landed_slots_to_a_published_snapshot(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0) for day in range(5)])
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(instance)
        assert result.success
        said = [entry.get_dagster_event() for entry in instance.all_logs(result.run_id) if entry.is_dagster_event]
        materialized = {event.asset_key for event in said if event.is_step_materialization}
        assert {dg.AssetKey(name) for name in CHAIN_OF_ASSETS[2:]} <= materialized
        evaluations = [event.asset_check_evaluation_data for event in said if event.event_type_value == "ASSET_CHECK_EVALUATION"]
        checks = {(check.asset_key.to_user_string(), check.check_name): check.passed for check in evaluations}
    assert checks["validated_slot", "batch_is_valid"]
    assert ("fct_alert", "unique_fct_alert_alert_id") in checks, "dbt's tests are asset checks"
    assert all(checks.values())
    newest = latest_manifest(lake.storage)
    assert newest is not None
    assert newest.balance.current == 5


def test_a_blocked_batch_runs_no_model_and_says_why(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0, open=None) for day in range(200)])
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(instance)
        assert not result.success
        assert result.get_asset_materialization_events() == []
        [check] = [check for check in result.get_asset_check_evaluations() if check.check_name == "batch_is_valid"]
        assert not check.passed
        assert "200 of 200 rows" in str(check.metadata["blocked"].value)
        seen = look_at_runs(instance, lake.settings, datetime(2026, 1, 1, tzinfo=UTC)).observations
        troubles = {each.key: each.trouble.text for each in seen if each.trouble is not None}
        assert troubles.keys() == {"run:build", "check:validated_slot:batch_is_valid"}
        assert all("200 of 200 rows" in text for text in troubles.values()), "people are told so"
    assert latest_manifest(lake.storage) is None


def test_every_step_follows_from_the_one_before(lake: Lake) -> None:
    graph = definitions().get_repository_def().asset_graph
    for parent, child in pairwise(CHAIN_OF_ASSETS):
        assert dg.AssetKey(parent) in graph.get(dg.AssetKey(child)).parent_keys, f"{child} follows {parent}"
