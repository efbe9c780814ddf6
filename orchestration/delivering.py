"""The sensor that has alerts delivered which wait for a channel: a run a channel, and none where nothing waits."""

import time

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from pydantic import BaseModel, ConfigDict

from orchestration.assets.alert import CHANNEL_TAG
from orchestration.jobs import DELIVER
from orchestration.resources import Platform
from tickhouse.settings import Settings
from transform.alerts.waiting import find_waiting, hearing, is_delivered_elsewhere

FIRST_BACKOFF_SECONDS = 30.0


class Asked(BaseModel):
    """When a run was last asked for (epoch seconds) to deliver what follows the entry `after`, and how often it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int
    at: float
    tries: int


class Cursor(BaseModel):
    """By channel up to which entry nothing is for it, and the runs that were asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: dict[str, int] = {}
    asked: dict[str, Asked] = {}


def delivery_sensor(settings: Settings) -> dg.SensorDefinition:
    """Looks every `delivery.look_seconds`; a channel that is out is asked for later and later, as `delivery` settings say."""

    @dg.sensor(
        name="waiting_alerts",
        job=DELIVER,
        minimum_interval_seconds=settings.delivery.look_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Has alerts delivered that wait for a channel.",
    )
    def waiting_alerts(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        settings = platform.settings()
        if not hearing(settings):
            return dg.SkipReason("No channel hears of alerts: delivery.channels names none.")
        if is_delivered_elsewhere(settings):
            return dg.SkipReason("`tickhouse deliver` delivers on this machine.")
        cursor = Cursor.model_validate_json(context.cursor) if context.cursor else Cursor()
        waiting = find_waiting(settings, platform.storage(), cursor.passed)
        asked = {channel: cursor.asked[channel] for channel in waiting.after if channel in cursor.asked}
        requests = []
        for channel, after in waiting.after.items():
            now = None if _is_running(context.instance, channel) else due(asked.get(channel), after, settings, time.time())
            if now is not None:
                asked[channel] = now
                requests.append(dg.RunRequest(run_key=f"{channel}-{after}-{now.tries}", tags={CHANNEL_TAG: channel}))
        cursor = Cursor(passed=waiting.passed, asked=asked)
        skipped = None if requests else f"Alerts wait for: {', '.join(waiting.after) or 'no channel'}."
        return dg.SensorResult(run_requests=requests, cursor=cursor.model_dump_json(), skip_reason=skipped)

    return waiting_alerts


def due(last: Asked | None, after: int, settings: Settings, now: float) -> Asked | None:
    """The request to make now, None while the last one for the same entries was not long enough ago: 30 s, 60 s, 120 s, …"""
    if last is None or last.after != after:
        return Asked(after=after, at=now, tries=1)
    pause = min(FIRST_BACKOFF_SECONDS * 2 ** min(last.tries - 1, 20), settings.delivery.max_backoff_seconds)
    return Asked(after=after, at=now, tries=last.tries + 1) if now - last.at >= pause else None


def _is_running(instance: dg.DagsterInstance, channel: str) -> bool:
    chosen = dg.RunsFilter(job_name=DELIVER.name, statuses=NOT_FINISHED_STATUSES, tags={CHANNEL_TAG: channel})
    return bool(instance.get_run_records(chosen, limit=1))
