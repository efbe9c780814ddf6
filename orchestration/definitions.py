"""All of Dagster's definitions, made when Dagster asks for them: importing this module reads nothing."""

from __future__ import annotations

import dagster as dg

from orchestration.assets.alert import delivered_alert
from orchestration.assets.control import CONTROL
from orchestration.assets.landing import LANDED_SLOT, TOPIC
from orchestration.assets.model import model_assets
from orchestration.assets.snapshot import published_snapshot
from orchestration.assets.validation import validated_slot
from orchestration.delivering import delivery_sensor
from orchestration.incidents import incident_sensor
from orchestration.jobs import JOBS, schedules
from orchestration.resources import Platform
from orchestration.sensors import new_slots
from tickhouse.settings import load_settings
from transform.dbt import ensure_manifest


@dg.definitions
def definitions() -> dg.Definitions:
    settings = load_settings()
    models = model_assets(ensure_manifest(settings), settings)
    return dg.Definitions(
        assets=[*CONTROL, TOPIC, LANDED_SLOT, validated_slot, models, published_snapshot, delivered_alert],
        jobs=JOBS,
        schedules=schedules(settings),
        sensors=[new_slots, incident_sensor(settings), delivery_sensor(settings)],
        resources={"platform": Platform()},
        executor=dg.in_process_executor,
    )
