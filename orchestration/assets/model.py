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
from orchestration.retries import tried_again
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform import build
from transform.backfill import rebuild_months
from transform.changed_months import BY_MONTH, Changed, changed_months
from transform.dbt import NodeResult
from transform.warehouse import build_lock

Event = MonthEvent | dg.AssetCheckEvaluation | dg.Output[None]


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
        for result in results:
            if result.unique_id.startswith("test."):
                check = get_asset_check_key_for_test(manifest, translator, result.unique_id, project=None)
                if check is not None and check in context.selected_asset_check_keys:
                    yield from _check_events(dbt_models, check, result)
            elif (key := get_asset_key_for_model([dbt_models], result.unique_id.split(".", 2)[2])) in context.selected_asset_keys:
                yield from _model_events(context, key, result, changed)

    return dbt_models


def _build(context: dg.AssetExecutionContext, settings: Settings, storage: Storage) -> tuple[list[NodeResult], Changed]:
    """Model what is new; of a run that is for months these once more, from their slots to a snapshot."""
    months = asked_months(context)
    if months is not None:
        with tried_again():
            done = rebuild_months(settings, storage, months, tell_in_log(context))
        context.log.info(f"rebuilt {months} from {len(done.scope.slots):,} slots; the newest snapshot is {done.manifest.number}")
        return done.models, done.changed
    with build_lock(settings):
        return build.model(settings, storage), changed_months(settings, storage)


def _model_events(
    context: dg.AssetExecutionContext, key: dg.AssetKey, result: NodeResult, changed: Changed
) -> Iterator[MonthEvent]:
    """A seed's or model's result in Dagster's words, a month each where its rows have one."""
    metadata = {"seconds": result.seconds}
    if (months := changed.get(key.to_user_string())) is not None:
        yield from month_events(context, key, months, metadata)
    else:
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)


def _check_events(assets: dg.AssetsDefinition, check: dg.AssetCheckKey, result: NodeResult) -> Iterator[Event]:
    """A test's result in Dagster's words. A run of no partition can tell none of a partitioned asset as an AssetCheckResult."""
    spec = assets.get_spec_for_check_key(check)
    yield dg.Output(None, output_name=assets.get_output_name_for_asset_check_key(check))
    yield dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=result.is_success,
        metadata={"failures": result.failures or 0},
        blocking=spec.blocking,
    )
