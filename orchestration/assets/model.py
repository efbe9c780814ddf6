"""The dbt models as assets, their tests as asset checks; dbt runs inside this process."""

import json
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from orchestration.assets import control
from orchestration.assets.description import Descriptions
from orchestration.assets.snapshot import told_snapshot
from orchestration.assets.validation import BUILD_JOB
from orchestration.links import Links
from orchestration.partitions import NO_EVENT, ONE_RUN, asked_months, changed_months, event_months, month_events, tell_in_log
from orchestration.resources import WAREHOUSE, Platform, Warehouse
from orchestration.retries import tried_again
from orchestration.telling import tell
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform import build
from transform.backfill import rebuild_months
from transform.build_lock import build_lock
from transform.changed_months import BY_MONTH, NO_ROWS, ModelRows, model_rows
from transform.marts import FCT_BATCH_QUALITY
from transform.modelling import NodeResult, check_models
from transform.months import Months
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest


class Translator(DagsterDbtTranslator):
    """One name all the way: a model's asset key is its name. Models whose rows have a time are partitioned by its month."""

    def __init__(self, months: dg.PartitionsDefinition, descriptions: Descriptions) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))  # those of `control` are one
        self._months, self._descriptions = months, descriptions

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        return spec if node["resource_type"] == "source" else self._descriptions.describe(spec, node)

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            is_control = dbt_resource_props["source_name"] == control.SOURCE
            return control.KEY if is_control else super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition | None:
        return self._months if dbt_resource_props["name"] in BY_MONTH else None


def model_assets(manifest_path: Path, settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Every seed and model of the dbt project at `manifest_path`, as one step that builds them all, and what that is told."""
    manifest = json.loads(manifest_path.read_text())
    translator = Translator(event_months(settings), Descriptions(manifest, Links(settings)))

    @dbt_assets(
        manifest=manifest_path, dagster_dbt_translator=translator, name="dbt_models", backfill_policy=ONE_RUN, pool=WAREHOUSE
    )
    def dbt_models(
        context: dg.AssetExecutionContext, platform: Platform, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult | dg.Output[None]]:
        settings, storage = platform.settings(), platform.storage()
        months = asked_months(context)
        is_asked_for = months is not None or context.job_name != BUILD_JOB
        if not context.selected_asset_keys:  # checks alone were asked for
            results, rows, published = _test(context, settings), NO_ROWS, None
        elif months is not None:
            results, rows, published = _rebuild(context, settings, storage, months)
        else:
            warehouse.hold(settings, context.log.info)
            results, rows = build.model(settings, storage), model_rows(settings, storage)
            published = publish_warehouse(settings, storage) if is_asked_for else None
        seconds = {result.unique_id.rpartition(".")[2]: result.seconds for result in results}
        for key in _in_order(dbt_models):
            if key in context.selected_asset_keys:
                yield from _model_events(context, key, seconds.get(key.to_user_string()), rows, is_asked_for)
            else:  # months change whichever assets were asked for
                tell(context, changed_months(key.to_user_string(), rows))
        if published is not None:
            tell(context, [told_snapshot(context.instance, published)])
        evaluations = dict(_evaluations(dbt_models, results))
        # A quick build ran some, and Dagster would call the others skipped.
        if context.selected_asset_check_keys - evaluations.keys():
            evaluations = dict(_evaluations(dbt_models, _test(context, settings)))
        tell(context, list(evaluations.values()))
        for check in evaluations.keys() & context.selected_asset_check_keys:
            yield dg.Output(None, output_name=dbt_models.get_output_name_for_asset_check_key(check))

    return [dbt_models, control.control_tables(manifest)]


def _rebuild(
    context: dg.AssetExecutionContext, settings: Settings, storage: Storage, months: Months
) -> tuple[list[NodeResult], ModelRows, Manifest]:
    """Rebuild these months from their slots, with what depends on them, and publish."""
    with tried_again():
        done = rebuild_months(settings, storage, months, tell_in_log(context))
    context.log.info(f"rebuilt {months} from {len(done.scope.slots):,} slots; the newest snapshot is {done.manifest.number}")
    return done.models, done.rows, done.manifest


def _test(context: dg.AssetExecutionContext, settings: Settings) -> list[NodeResult]:
    """Run the tests alone, over whole tables."""
    with build_lock(settings, context.log.info):
        return check_models(settings)


def _in_order(assets: dg.AssetsDefinition) -> Iterator[dg.AssetKey]:
    """Seeds and models, each after what it depends on, as Dagster wants to hear of them."""
    yield from TopologicalSorter({spec.key: [dep.asset_key for dep in spec.deps] for spec in assets.specs}).static_order()


def _model_events(
    context: dg.AssetExecutionContext, key: dg.AssetKey, seconds: float | None, rows: ModelRows, is_asked_for: bool
) -> Iterator[dg.MaterializeResult]:
    """A seed or model in Dagster's words, a month each where its rows have one; `seconds` is None of one that was not built.

    Views and seeds that a build of new bars leaves as they are have no event, but for months in which a view shows other rows.
    Who asks for one is told of it: it was seen to be as it should.
    """
    metadata: dict[str, float | int] = {} if seconds is None else {"seconds": seconds}
    if (months := rows.changed.get(name := key.to_user_string())) is not None:
        yield from month_events(context, key, months, {**metadata, "dagster/row_count": rows.total[name]})
    else:
        is_told = metadata or is_asked_for or name == FCT_BATCH_QUALITY  # a view of batches, of which each build has another
        yield dg.MaterializeResult(asset_key=key, metadata=metadata if is_told else {NO_EVENT: True})


def _evaluations(
    models: dg.AssetsDefinition, results: list[NodeResult]
) -> Iterator[tuple[dg.AssetCheckKey, dg.AssetCheckEvaluation]]:
    """The tests' results in Dagster's words: of all that ran, whichever the run selects."""
    checks = {check.name: check for check in models.check_specs}
    for result in results:
        if result.unique_id.startswith("test."):
            name = result.unique_id.split(".")[2]
            if (check := checks.get(name)) is not None:
                evaluation = dg.AssetCheckEvaluation(
                    asset_key=check.asset_key,
                    check_name=name,
                    passed=result.is_success,
                    metadata={"failures": result.failures or 0},
                )
                yield check.key, evaluation
