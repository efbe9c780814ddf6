"""What Dagster's own records say of runs and asset checks: which failed, and which are well again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from urllib.parse import quote

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from orchestration.assets.alert import CHANNEL_TAG
from tickhouse.settings import Settings
from transform.incidents.incident import Observation, Trouble
from transform.incidents.redaction import redact, secret_variables

OVERLAP = timedelta(seconds=10)
"""A run that ended just before another may be stored just after it: so much is read again, which opens nothing twice."""

CHOSEN_ASSETS = "__ASSET_JOB"
_SHOWN = 5
_ADVICE = {
    "build": "nothing that is published has changed meanwhile, and the sensor asks for these slots again by itself, with growing "
    "pauses. If it will not pass: docs/operations.md, When something is wrong.",
    "deliver": "look at the channel that the run names; `tickhouse deliver --test CHANNEL` tries it. Nothing is lost: it is "
    "tried again by itself.",
}
_ANY_JOB = "what may pass was tried again by itself. Mend the cause that the run names, then start it again from its page."
_STALE = "see whether its feed still sends and an ingestor runs: `tickhouse status` tells how far each part is."
_CHECK = (
    "the check's page says what broke it. If it is a batch that validation refused, `tickhouse status` tells how to let it "
    "through."
)


@dataclass(frozen=True)
class Seen:
    """What was seen, and when (UTC) the last run of it was stored."""

    observations: list[Observation]
    upto: datetime


def look_at_runs(instance: dg.DagsterInstance, settings: Settings, since: datetime) -> Seen:
    """What the runs that ended after `since` (UTC) say, of jobs and of the checks that they evaluated.

    A run that Dagster is going to try again says nothing yet. The checks of a job's successful runs are read in the last one
    alone, so a look costs no more for a job that runs every second.
    """
    statuses = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    chosen = dg.RunsFilter(statuses=statuses, updated_after=since - OVERLAP)
    records = instance.get_run_records(chosen, order_by="update_timestamp", ascending=True)
    last = {record.dagster_run.job_name: record.dagster_run.run_id for record in records if record.dagster_run.is_success}
    observations: list[Observation] = []
    for record in records:
        run = record.dagster_run
        if not run.is_success and _may_be_tried_again(instance, run):
            continue
        ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
        trouble = None if run.is_success else _run_trouble(instance, settings, run)
        observations.append(Observation(key=f"run:{_name(run)}", at=ended, trouble=trouble))
        if not run.is_success or run.job_name == CHOSEN_ASSETS or last[run.job_name] == run.run_id:
            observations += _checks(instance, settings, run.run_id)
    return Seen(observations, max((record.update_timestamp for record in records), default=since))


def _may_be_tried_again(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether Dagster tries it again, or has not decided yet: then the run is stored once more."""
    return instance.run_retries_enabled and run.tags.get(WILL_RETRY_TAG, "true") == "true"


def _run_trouble(instance: dg.DagsterInstance, settings: Settings, run: dg.DagsterRun) -> Trouble:
    return Trouble(
        title="tickhouse: a run of chosen assets failed"
        if run.job_name == CHOSEN_ASSETS
        else f"tickhouse: the job {_name(run)} failed",
        text=redact(_reason(instance, run.run_id), secret_variables(settings)),
        severity="high",
        link=f"{settings.dagster.public_url}/runs/{run.run_id}",
        advice=_ADVICE.get(run.job_name, _ANY_JOB),
    )


def _name(run: dg.DagsterRun) -> str:
    """The job, and of a delivery the channel: one that is in order says nothing of another that is out."""
    channel = run.tags.get(CHANNEL_TAG)
    return run.job_name if channel is None else f"{run.job_name}/{channel}"


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """The step that failed and the error at the bottom of it; where no step did, what Dagster says of the run."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    events = [record.event_log_entry for record in instance.get_records_for_run(run_id, of_type=kinds).records]
    for entry in events:
        event = entry.dagster_event
        if event is not None and event.is_step_failure and (error := event.step_failure_data.error) is not None:
            while error.cause is not None:
                error = error.cause
            kind, _, said = error.message.strip().partition(": ")
            return f"The step {event.step_key} failed: {said if said and ' ' not in kind else error.message.strip()}"
    return next((entry.dagster_event.message or "" for entry in events if entry.dagster_event), "The run says nothing of why.")


def _checks(instance: dg.DagsterInstance, settings: Settings, run_id: str) -> Iterator[Observation]:
    for record in instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            evaluation = event.asset_check_evaluation_data
            at = datetime.fromtimestamp(record.timestamp, UTC)
            yield check_observation(evaluation, at, settings, run_id)


def check_observation(evaluation: dg.AssetCheckEvaluation, at: datetime, settings: Settings, run_id: str) -> Observation:
    """What an evaluation says. One that only warns is no incident, unless its name is one of `incidents.stale_checks`."""
    asset, check = evaluation.asset_key.to_user_string(), evaluation.check_name
    is_stale = any(fnmatchcase(check, pattern) for pattern in settings.incidents.stale_checks)
    key = f"{'stale' if is_stale else 'check'}:{asset}:{check}"
    if evaluation.passed or not (is_stale or evaluation.severity is dg.AssetCheckSeverity.ERROR):
        return Observation(key=key, at=at, trouble=None)
    url = settings.dagster.public_url
    page = f"{url}/assets/{quote(asset)}?view=checks&checkDetail={quote(check)}"
    trouble = Trouble(
        title=f"tickhouse: {asset} is stale ({check})" if is_stale else f"tickhouse: the check {check} of {asset} failed",
        text=redact(_said(evaluation), secret_variables(settings)),
        severity="medium" if is_stale else "high",
        link=f"{page}\nRun: {url}/runs/{run_id}",
        advice=_STALE if is_stale else _CHECK,
    )
    return Observation(key=key, at=at, trouble=trouble)


def _said(evaluation: dg.AssetCheckEvaluation) -> str:
    """The evaluation's description, and of its metadata what is short."""
    facts = [f"{name}: {text}" for name, value in evaluation.metadata.items() if (text := _text(value)) is not None]
    return "; ".join(filter(None, [evaluation.description, *facts]))


def _text(value: dg.MetadataValue) -> str | None:
    if isinstance(value, dg.TableMetadataValue):
        rows = [" ".join(map(str, row.data.values())) for row in value.records[:_SHOWN]]
        return ", ".join([*rows, "…"] if len(value.records) > _SHOWN else rows)
    is_short = isinstance(value, dg.TextMetadataValue | dg.IntMetadataValue | dg.FloatMetadataValue)
    return str(value.value) if is_short else None
