"""Lag over its limit: a stage that has not caught up for too long with what the stage before it had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from tickhouse.settings import IncidentSettings
from transform.incidents.incident import Observation, Trouble
from transform.status import PartitionStatus, Status

ADVICE = {
    "landing": "no ingestor runs, or it is behind: look at its log; start more of them, up to one per partition. "
    "`tickhouse status` tells how far each part is.",
    "validation": "no build, or one that is blocked: `tickhouse status` says which batch was refused, since when and why, and "
    "how to let it through; so does the run in Dagster's UI.",
    "publishing": "a model failed, or no build runs: the run names what. Nothing that is published has changed meanwhile.",
}
ASSETS = {"landing": "landed_slot", "validation": "validated_slot", "publishing": "published_snapshot"}


class Mark(BaseModel):
    """Since when (UTC) a stage is to come up to an offset that it has not reached yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upto: int
    since: datetime


@dataclass(frozen=True)
class Stage:
    """How far a stage of one chain is, and the stage before it; `target` is None when that is not known."""

    name: str
    reached: int
    target: int | None


def look_at_lag(
    status: Status, marks: Mapping[str, Mark], limits: IncidentSettings, now: datetime, dagster_url: str
) -> tuple[list[Observation], dict[str, Mark]]:
    """What is seen of each stage's lag, and the marks for the next look.

    Measured is how long ago a look first saw the offset that a stage has not reached: so it needs no clock but ours, and history
    that is replayed is late only if it is not taken. What is not known, as without a broker, is not judged.
    """
    seen, after = [], {}
    for partition in status.partitions:
        for stage in _stages(partition, status.kafka_unknown is not None):
            key = f"lag:{stage.name}/{partition.chain.path}"
            if stage.target is None:
                if key in marks:
                    after[key] = marks[key]
                continue
            trouble = None
            if stage.reached < stage.target:
                mark = marks.get(key)
                if mark is None or stage.reached >= mark.upto:
                    mark = Mark(upto=stage.target, since=now)
                after[key] = mark
                trouble = _trouble(partition, stage, mark, limits, now, dagster_url)
            seen.append(Observation(key=key, at=now, trouble=trouble))
    return seen, after


def _stages(partition: PartitionStatus, is_kafka_unknown: bool) -> Iterator[Stage]:
    """The stages of a chain. Of a topic that is no more Kafka has nothing that could still land."""
    end = partition.broker_end
    target = end if end is not None or is_kafka_unknown else partition.landed_end
    yield Stage("landing", partition.landed_end, target)
    yield Stage("validation", partition.validated_end, partition.landed_end)
    yield Stage("publishing", partition.published_end, partition.validated_end)


def _trouble(
    partition: PartitionStatus, stage: Stage, mark: Mark, limits: IncidentSettings, now: datetime, dagster_url: str
) -> Trouble | None:
    assert stage.target is not None
    behind, seconds = stage.target - stage.reached, (now - mark.since).total_seconds()
    is_over_rows = stage.name == "landing" and limits.lag_rows is not None and behind > limits.lag_rows
    if seconds <= limits.lag_seconds and not is_over_rows:
        return None
    refusal = partition.refusal if stage.name == "validation" else None
    place = f"{partition.chain.topic} / {partition.chain.partition}"
    return Trouble(
        title=f"tickhouse: {stage.name} is late: {behind:,} offsets behind on {place}",
        text=f"It is at offset {stage.reached:,}, and {stage.target:,} is there; nothing above the first has come through for "
        f"{seconds:,.0f} s." + (f" Validation refused a batch: {refusal.reason}." if refusal is not None else ""),
        severity="medium",
        link=f"{dagster_url}/assets/{ASSETS[stage.name]}",
        advice=refusal.way_on if refusal is not None else ADVICE[stage.name],
    )
