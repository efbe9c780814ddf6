"""How long Dagster's records of runs are kept: a run a second is 86,400 a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import sqlalchemy as db
from dagster._core.events import DagsterEventType
from dagster._core.instance import RUNLESS_RUN_ID
from dagster._core.storage.dagster_run import FINISHED_STATUSES, RunRecord
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from orchestration.sqlite import EventLog

AT_ONCE = 3000
"""So many runs are removed at most by one call, some minute's work: others write meanwhile, and the next call goes on."""


@dataclass(frozen=True)
class Kept:
    """Of runs that ended: those of so long, and so many of them at most. The newest of each job stays in any case."""

    age: timedelta
    runs: int


@dataclass(frozen=True)
class Removed:
    """What was removed: runs with their events, observations that belong to no run, and evaluations of checks."""

    runs: int
    observations: int
    evaluations: int

    def __str__(self) -> str:
        return f"{self.runs:,} runs, {self.observations:,} observations, {self.evaluations:,} evaluations of checks"


def remove_old_records(instance: dg.DagsterInstance, kept: Kept, now: datetime) -> Removed:
    """Remove what is older than is kept (`now` is UTC), the oldest first, and give the room back to the disk.

    Killed at any moment it leaves runs as they were, or gone; a run that goes on, or waits, is never touched.
    """
    old = _ended(instance, kept, now)
    newest = _newest({record.dagster_run.job_name for record in old}, instance)
    gone = [run_id for record in old if (run_id := record.dagster_run.run_id) not in newest]
    for run_id in gone:
        instance.delete_run(run_id)
    observations = _remove_observations(instance.event_log_storage, now - kept.age)
    evaluations = _remove_evaluations(instance.event_log_storage, max(kept.runs, 1))
    if isinstance(instance.event_log_storage, EventLog):
        instance.event_log_storage.give_back()
    return Removed(len(gone), observations, evaluations)


def _ended(instance: dg.DagsterInstance, kept: Kept, now: datetime) -> list[RunRecord]:
    """Runs that ended and are too old or too many, the oldest first."""
    ended = dg.RunsFilter(statuses=FINISHED_STATUSES)
    surplus = min(AT_ONCE, instance.get_runs_count(ended) - kept.runs)
    too_many = instance.get_run_records(ended, limit=surplus, ascending=True) if surplus > 0 else []
    before = dg.RunsFilter(statuses=FINISHED_STATUSES, updated_before=now - kept.age)
    too_old = instance.get_run_records(before, limit=AT_ONCE, ascending=True)
    return [*too_many, *(each for each in too_old if each not in too_many)][:AT_ONCE]


def _newest(jobs: set[str], instance: dg.DagsterInstance) -> set[str]:
    """The newest run of each of the jobs, whatever its state."""
    return {
        record.dagster_run.run_id for job in jobs for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    }


def _remove_observations(storage: EventLogStorage, before: datetime) -> int:
    """Remove what sensors observed before then (UTC), but for the newest of each asset; Dagster itself never does."""
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    events = SqlEventLogStorageTable
    observed = db.and_(events.c.run_id == RUNLESS_RUN_ID, events.c.dagster_event_type == DagsterEventType.ASSET_OBSERVATION.value)
    newest = db.select(db.func.max(events.c.id)).where(observed).group_by(events.c.asset_key)
    old = db.and_(observed, events.c.timestamp < before.astimezone(UTC).replace(tzinfo=None), events.c.id.not_in(newest))
    with storage.index_connection() as connection:
        return connection.execute(events.delete().where(old)).rowcount


def _remove_evaluations(storage: EventLogStorage, kept: int) -> int:
    """Remove all but so many of each check's newest evaluations; Dagster leaves them where they are when it deletes a run."""
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    checks = AssetCheckExecutionsTable.c
    nth = db.func.row_number().over(partition_by=(checks.asset_key, checks.check_name), order_by=checks.id.desc())
    numbered = db.select(checks.id, nth.label("nth")).subquery()
    old = db.select(numbered.c.id).where(numbered.c.nth > kept)
    with storage.index_connection() as connection:
        return connection.execute(AssetCheckExecutionsTable.delete().where(checks.id.in_(old))).rowcount
