"""The sensor that starts a build when something has landed that no snapshot shows yet."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import dagster as dg

from ingestion.chain.walk import find_chains, read_genesis, walk
from orchestration.jobs import BUILD
from orchestration.resources import Platform
from tickhouse.storage import Storage
from transform.snapshot.manifest import latest_manifest

LONGEST_BACKOFF_SECONDS = 300.0
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
    """One run for all that is new, none while one is in progress; a failed range is asked for again, with backoff."""
    cursor = Cursor(**json.loads(context.cursor)) if context.cursor else Cursor({})
    ends = unpublished_ends(platform.storage(), cursor.ends)
    if not ends:
        return dg.SkipReason("Every landed slot is published.")
    if running := context.instance.get_run_records(dg.RunsFilter(job_name=BUILD.name, statuses=IN_PROGRESS), limit=1):
        return dg.SkipReason(f"Run {running[0].dagster_run.run_id} is in progress; what landed since is next.")
    asked, wait = next_request(cursor, ends, time.time())
    if wait > 0:
        return dg.SkipReason(f"The last build of these slots failed; trying again in {wait:.0f} s.")
    request = dg.RunRequest(run_key=run_key(asked), tags={"tickhouse/landed": json.dumps(ends)})
    return dg.SensorResult(run_requests=[request], cursor=json.dumps(asdict(asked)))


def unpublished_ends(storage: Storage, known: Mapping[str, int]) -> dict[str, int]:
    """The landed end of every chain that has slots the newest snapshot does not cover.

    `known` holds ends found earlier: a chain is walked on from there, so a look costs what is new.
    """
    newest = latest_manifest(storage)
    watermark = newest.watermark if newest else {}
    ends = {}
    for chain in find_chains(storage):
        published = watermark.get(chain.path)
        if published is None:
            published = read_genesis(storage, chain).position
        end = max(published, known.get(chain.path, published))
        for slot in walk(storage, chain, end):
            end = slot.footer.next_offset
        if end > published:
            ends[chain.path] = end
    return ends


def next_request(cursor: Cursor, ends: Mapping[str, int], now: float) -> tuple[Cursor, float]:
    """The run to ask for, and how many seconds to wait first: 0 for new slots, doubling for ones that failed."""
    if dict(cursor.ends) != dict(ends):
        return Cursor(dict(ends), 0, now), 0.0
    backoff = min(2.0**cursor.attempt, LONGEST_BACKOFF_SECONDS)
    return Cursor(dict(ends), cursor.attempt + 1, now), cursor.requested_at + backoff - now


def run_key(asked: Cursor) -> str:
    """The same landed ends and attempt give the same key, so that a repeated tick starts no second run."""
    ends = json.dumps(sorted(asked.ends.items())).encode()
    return f"{hashlib.sha256(ends).hexdigest()[:16]}-{asked.attempt}"
