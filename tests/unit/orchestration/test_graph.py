"""The graph shows everything from the topic to the snapshot, and says of each asset what it is and whose."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import loaded_definitions
from orchestration.jobs import JOBS
from tickhouse.settings import load_settings
from transform.parsed_project import ensure_manifest

LEFT_TO_RIGHT = ["landing", "validation", "staging", "intermediate", "marts", "serving"]


@pytest.fixture(scope="module")
def graph() -> Any:
    return loaded_definitions().get_repository_def().asset_graph


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return json.loads(ensure_manifest(load_settings()).read_text())


def models(project: dict[str, Any]) -> dict[str, Any]:
    return {node["name"]: node for node in project["nodes"].values() if node["resource_type"] in ("model", "seed")}


def test_every_asset_says_what_it_is_whose_and_made_with_what(graph: Any) -> None:
    for key in graph.get_all_asset_keys():
        asset = graph.get(key)
        assert asset.description, key
        assert asset.group_name not in (None, "default"), key
        assert asset.owners, key
        assert asset.kinds, key


def test_every_model_is_there_with_its_columns_types_and_links(graph: Any, project: dict[str, Any]) -> None:
    for name, node in models(project).items():
        asset = graph.get(dg.AssetKey(name))
        columns = {column.name: column for column in asset.metadata["dagster/column_schema"].columns}
        assert columns.keys() == node["columns"].keys(), name
        assert all(column.description and column.type != "?" for column in columns.values()), name
        assert node["unique_id"] in asset.metadata["dbt_docs"].value
        assert asset.code_version, name
    assert graph.get(dg.AssetKey("fct_alert")).metadata["alerts"].value.endswith("/alerts")


def test_every_test_of_a_model_is_a_check(graph: Any, project: dict[str, Any]) -> None:
    tests = [node for node in project["nodes"].values() if node["resource_type"] == "test"]
    on_models = {test["name"] for test in tests if test["attached_node"]}
    assert on_models
    assert on_models <= {check.name for check in graph.asset_check_keys}


def test_the_graph_reads_from_left_to_right(graph: Any) -> None:
    place = {group: number for number, group in enumerate(LEFT_TO_RIGHT)}
    for key in graph.get_all_asset_keys():
        asset = graph.get(key)
        for parent in map(graph.get, asset.parent_keys):
            if asset.group_name in place and parent.group_name in place:
                assert place[parent.group_name] <= place[asset.group_name], f"{parent.key} comes before {key}"
    upstream = {dg.AssetKey("published_snapshot")}
    while more := {parent for key in upstream for parent in graph.get(key).parent_keys} - upstream:
        upstream |= more
    assert {dg.AssetKey(name) for name in ("bar_topic", "landed_slot", "validated_slot", *models_of(graph, "marts"))} <= upstream


def models_of(graph: Any, group: str) -> list[str]:
    return [key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).group_name == group]


def test_archives_and_documentation_are_made_by_jobs_of_their_own() -> None:
    repository = loaded_definitions().get_repository_def()
    made_by = {name: repository.get_job(name).asset_layer.executable_asset_keys for name in ("build", "compact", "document")}
    assert made_by["compact"] == {dg.AssetKey("archived_slot")}
    assert made_by["document"] == {dg.AssetKey("dbt_docs")}
    assert not made_by["build"] & (made_by["compact"] | made_by["document"])
    assert all(job.description for job in JOBS)
