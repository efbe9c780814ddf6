"""The sensor that starts a build when something has landed that no snapshot shows yet."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import dagster as dg

from orchestration.jobs import BUILD
from orchestration.resources import Platform
from tickhouse.settings import Settings
from transform.build_lock import is_build_lock_taken
from transform.unpublished import Unpublished

LONGEST_BACKOFF_SECONDS = 300.0
LOOK_FOR_SECONDS = 5.0
IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Cursor:
    """The last run asked for: what had landed then, how often it was asked for, and when (epoch seconds)."""

    ends: Mapping[str, int]
    attempt: int = 0
    requested_at: float = 0.0


@dg.sensor(
    job=BUILD,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a build when slots have landed that the newest snapshot does not cover.",
)
def new_slots(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """One run for all that is new; a failed range is asked for again, with backoff.

    While one is in progress it takes what lands until it validates. Of what lands then one more is asked for: it starts beside
    the other, and waits for its turn with all that has landed by then.

    It looks for `LOOK_FOR_SECONDS` before it says that there is nothing: what lands meanwhile need not wait for the next tick.
    """
    settings = platform.settings()
    cursor = Cursor(**json.loads(context.cursor)) if context.cursor else Cursor({})
    unpublished = Unpublished(platform.storage(), cursor.ends)
    until = time.monotonic() + LOOK_FOR_SECONDS
    while True:
        answer = _look(context.instance, settings, unpublished, cursor)
        if isinstance(answer, dg.SensorResult) or time.monotonic() >= until:
            return answer
        time.sleep(settings.dagster.look_seconds)


def _look(
    instance: dg.DagsterInstance, settings: Settings, unpublished: Unpublished, cursor: Cursor
) -> dg.SensorResult | dg.SkipReason:
    ends = unpublished.ends()
    if not ends:
        return dg.SkipReason("Every landed slot is published.")
    running = instance.get_runs(dg.RunsFilter(job_name=BUILD.name, statuses=IN_PROGRESS), limit=2)
    if len(running) > 1 or (running and not _is_left_for_the_next(settings, unpublished, cursor, ends)):
        return dg.SkipReason(f"Run {running[0].run_id} is in progress, and takes all that is new.")
    asked, wait = next_request(cursor, ends, time.time(), settings.dagster.build_every_seconds)
    if wait > 0:
        why = "The last build of these slots failed" if asked.attempt else "dagster.build_every_seconds has builds wait"
        return dg.SkipReason(f"{why}; the next begins in {wait:.1f} s.")
    request = dg.RunRequest(run_key=run_key(asked), tags={"tickhouse/landed": json.dumps(ends)})
    return dg.SensorResult(run_requests=[request], cursor=json.dumps(asdict(asked)))


def _is_left_for_the_next(settings: Settings, unpublished: Unpublished, cursor: Cursor, ends: Mapping[str, int]) -> bool:
    """Whether the run in progress has validated all that it takes, so that it models, and something has landed after that.

    The lock alone does not say that it models: another job may have it, for which that run waits before it validates.
    """
    is_modelling = unpublished.are_validated(cursor.ends) and is_build_lock_taken(settings)
    return is_modelling and not unpublished.are_validated(ends)


def next_request(cursor: Cursor, ends: Mapping[str, int], now: float, build_every_seconds: float = 0.0) -> tuple[Cursor, float]:
    """The run to ask for, and how many seconds to wait first: doubling for slots whose build failed."""
    is_new = dict(cursor.ends) != dict(ends)
    pause = 0.0 if is_new else min(2.0**cursor.attempt, LONGEST_BACKOFF_SECONDS)
    asked = Cursor(dict(ends), 0 if is_new else cursor.attempt + 1, now)
    return asked, max(0.0, cursor.requested_at + max(pause, build_every_seconds) - now)


def run_key(asked: Cursor) -> str:
    """The same landed ends and attempt give the same key, so that a repeated tick starts no second run."""
    ends = json.dumps(sorted(asked.ends.items())).encode()
    return f"{hashlib.sha256(ends).hexdigest()[:16]}-{asked.attempt}"
