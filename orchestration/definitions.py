"""All of Dagster's definitions, made when Dagster asks for them: importing this module reads nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

import dagster as dg

from orchestration.assets.alert import delivered_alert
from orchestration.assets.landing import LANDED_SLOT, TOPIC
from orchestration.assets.model import model_assets
from orchestration.assets.snapshot import published_snapshot
from orchestration.assets.upkeep import archived_slot, dbt_docs
from orchestration.assets.validation import validated_slot
from orchestration.checks import bars_are_fresh, no_trading_day_is_missing
from orchestration.delivering import delivery_sensor
from orchestration.incidents import incident_sensor
from orchestration.jobs import JOBS, schedules
from orchestration.links import Links
from orchestration.observation import observation_sensors
from orchestration.resources import Platform, Warehouse
from orchestration.sensors import new_slots
from tickhouse.settings import load_settings
from transform.parsed_project import ensure_manifest


@dg.definitions
def definitions() -> dg.Definitions:
    return loaded_definitions()


@cache
def loaded_definitions() -> dg.Definitions:
    """The process' one set of definitions: a run that is forked from a warm process has them from it."""
    settings = load_settings()
    models = model_assets(ensure_manifest(settings), settings)
    assets: list[Any] = [
        TOPIC,
        LANDED_SLOT,
        archived_slot,
        validated_slot,
        *models,
        published_snapshot,
        delivered_alert,
        dbt_docs,
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(Links(settings).attach, assets),
        asset_checks=[bars_are_fresh, no_trading_day_is_missing],
        jobs=JOBS,
        schedules=schedules(settings),
        sensors=[new_slots, *observation_sensors(settings), incident_sensor(settings), delivery_sensor(settings)],
        resources={"platform": Platform(), "warehouse": Warehouse()},
        executor=dg.in_process_executor,
    )
