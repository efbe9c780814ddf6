"""The dbt models as assets, their tests as asset checks; dbt runs inside this process."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets, get_asset_key_for_model
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from orchestration.resources import Platform
from transform import build
from transform.dbt import NodeResult
from transform.warehouse import build_lock

Event = dg.MaterializeResult | dg.AssetCheckResult


class Translator(DagsterDbtTranslator):
    """One name all the way: a model's asset key is its name."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])


def model_assets(manifest_path: Path) -> dg.AssetsDefinition:
    """Every seed and model of the dbt project at `manifest_path`, as one step that builds them all."""
    manifest = json.loads(manifest_path.read_text())
    translator = Translator()

    @dbt_assets(manifest=manifest_path, dagster_dbt_translator=translator, name="dbt_models")
    def dbt_models(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Event]:
        settings = platform.settings()
        with build_lock(settings):
            results = build.model(settings, platform.storage())
        selected = context.selected_asset_keys | {key.asset_key for key in context.selected_asset_check_keys}
        events = (_event(manifest, translator, dbt_models, result) for result in results)
        yield from (event for event in events if event is not None and event.asset_key in selected)

    return dbt_models


def _event(
    manifest: Mapping[str, Any], translator: DagsterDbtTranslator, assets: dg.AssetsDefinition, result: NodeResult
) -> Event | None:
    """The node's result in Dagster's words; None for a test of no single asset."""
    kind, _, name = result.unique_id.split(".", 2)
    if kind != "test":
        return dg.MaterializeResult(asset_key=get_asset_key_for_model([assets], name), metadata={"seconds": result.seconds})
    check = get_asset_check_key_for_test(manifest, translator, result.unique_id, project=None)
    if check is None:
        return None
    return dg.AssetCheckResult(
        asset_key=check.asset_key, check_name=check.name, passed=result.is_success, metadata={"failures": result.failures or 0}
    )
