"""One build from landed slots to a published snapshot, stage by stage; each stage makes good what a killed one left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.build_lock import build_lock
from transform.dbt import DbtError, OnNode
from transform.marts import FCT_ALERT, FCT_INDICATOR
from transform.modelling import NodeResult, build_models, failure_text
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest, latest_manifest, latest_number
from transform.validation.run import ValidationOutcome, validate_new_slots
from transform.warehouse import ReadAgain, begin_build, finish_build, warehouse_kept_open

Report = Callable[[str], None]


class ValidationBlockedError(RuntimeError):
    """A batch failed validation as a whole; its slots stay unread until it passes."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did, stage by stage."""

    validation: ValidationOutcome
    models: list[NodeResult]
    manifest: Manifest


def run_build(settings: Settings, on_stage: Report | None = None, *, is_full_refresh: bool = False) -> BuildReport:
    """Validate new slots, build the models, publish; `on_stage` is told one line a stage.

    A full refresh reads every validated slot again and computes every model anew. Raises ValidationBlockedError or DbtError;
    what was published before stands.
    """
    storage = open_storage(settings)
    report = on_stage or (lambda _line: None)
    validation = validate(settings, storage)
    report(f"validated {validation.rows:,} rows in {validation.slots:,} slots, {validation.quarantined:,} quarantined")
    if validation.blocked is not None:
        raise ValidationBlockedError(validation.blocked)
    with build_lock(settings), warehouse_kept_open(settings):
        models = model(settings, storage, is_full_refresh=is_full_refresh)
        report(f"built {len(models)} models and tests")
        before = latest_number(storage)
        manifest = publish_warehouse(settings, storage)
    report(f"nothing new: snapshot {manifest.number} stays" if manifest.number == before else _published_text(manifest))
    return BuildReport(validation, models, manifest)


def _published_text(manifest: Manifest) -> str:
    bars, alerts = manifest.marts[FCT_INDICATOR].rows, manifest.marts[FCT_ALERT].rows
    derived = f", {manifest.derived_bars:,} of them derived" if manifest.derived_bars else ""
    return f"published snapshot {manifest.number} with {alerts:,} alerts of {bars:,} bars{derived}"


def validate(settings: Settings, storage: Storage) -> ValidationOutcome:
    """Validate the slots landed since the newest snapshot; what is below its watermark has its records."""
    newest = latest_manifest(storage)
    return validate_new_slots(settings, storage, newest.watermark if newest else None)


def model(
    settings: Settings,
    storage: Storage,
    *,
    is_full_refresh: bool = False,
    again: ReadAgain | None = None,
    on_node: OnNode | None = None,
) -> list[NodeResult]:
    """Register validated slots, read `again` those, and run dbt; hold `build_lock`. Raises DbtError naming what failed."""
    build = begin_build(settings, storage, again=again)
    anew = "stg_bar" if is_full_refresh else build.full_refresh_from
    results = build_models(settings, full_refresh_from=anew, is_quick=build.is_quick, on_node=on_node)
    if failure := failure_text(results):
        raise DbtError(failure)
    finish_build(settings, build)
    return results
