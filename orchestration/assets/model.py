"""The dbt models as assets, their tests as asset checks; dbt runs inside this process."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets, get_asset_key_for_model
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from orchestration.partitions import ONE_RUN, MonthEvent, asked_months, event_months, month_events, tell_in_log
from orchestration.resources import Platform
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform import build
from transform.backfill import rebuild_months
from transform.changed_months import BY_MONTH, Changed, changed_months
from transform.dbt import NodeResult
from transform.warehouse import build_lock

Event = MonthEvent | dg.AssetCheckResult


class Translator(DagsterDbtTranslator):
    """One name all the way: a model's asset key is its name. Models whose rows have a time are partitioned by its month."""

    def __init__(self, months: dg.PartitionsDefinition) -> None:
        super().__init__()
        self._months = months

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition | None:
        return self._months if dbt_resource_props["name"] in BY_MONTH else None


def model_assets(manifest_path: Path, settings: Settings) -> dg.AssetsDefinition:
    """Every seed and model of the dbt project at `manifest_path`, as one step that builds them all."""
    manifest = json.loads(manifest_path.read_text())
    translator = Translator(event_months(settings))

    @dbt_assets(manifest=manifest_path, dagster_dbt_translator=translator, name="dbt_models", backfill_policy=ONE_RUN)
    def dbt_models(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Event]:
        results, changed = _build(context, platform.settings(), platform.storage())
        selected = context.selected_asset_keys | {key.asset_key for key in context.selected_asset_check_keys}
        for result in results:
            for event in _events(context, manifest, translator, dbt_models, result, changed):
                if event.asset_key in selected:
                    yield event

    return dbt_models


def _build(context: dg.AssetExecutionContext, settings: Settings, storage: Storage) -> tuple[list[NodeResult], Changed]:
    """Model what is new; of a run that is for months these once more, from their slots to a snapshot."""
    months = asked_months(context)
    if months is not None:
        done = rebuild_months(settings, storage, months, tell_in_log(context))
        context.log.info(f"rebuilt {months} from {len(done.scope.slots):,} slots; the newest snapshot is {done.manifest.number}")
        return done.models, done.changed
    with build_lock(settings):
        return build.model(settings, storage), changed_months(settings, storage)


def _events(
    context: dg.AssetExecutionContext,
    manifest: Mapping[str, Any],
    translator: Translator,
    assets: dg.AssetsDefinition,
    result: NodeResult,
    changed: Changed,
) -> Iterator[Event]:
    """The node's result in Dagster's words; nothing for a test of no single asset."""
    kind, _, name = result.unique_id.split(".", 2)
    if kind != "test":
        key, metadata = get_asset_key_for_model([assets], name), {"seconds": result.seconds}
        if name in BY_MONTH:
            yield from month_events(context, key, changed[name], metadata)
        else:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        return
    check = get_asset_check_key_for_test(manifest, translator, result.unique_id, project=None)
    if check is not None:
        yield dg.AssetCheckResult(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=result.is_success,
            metadata={"failures": result.failures or 0},
        )
