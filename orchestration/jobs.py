"""The jobs people, sensors and schedules start."""

from datetime import timedelta

import dagster as dg

from ingestion.chain.compaction import ArchiveSize, compact
from orchestration.checks import FRESHNESS, GAPS
from orchestration.resources import Platform
from tickhouse.settings import Settings
from transform.build import run_build
from transform.changed_months import BY_MONTH
from transform.publication import publish_warehouse
from transform.snapshot.retention import remove_expired
from transform.validation.revalidation import revalidate
from transform.warehouse import build_lock

_TO_THE_SNAPSHOT = dg.AssetSelection.assets("published_snapshot").upstream()

BUILD = dg.define_asset_job(
    "build",
    # Of checks those that gate; the models' own are dbt's tests, which dbt runs, and tells of, with the models.
    selection=_TO_THE_SNAPSHOT.without_checks() | dg.AssetSelection.checks_for_assets("validated_slot"),
    description="Validate what has landed, build the models, publish.",
)

BACKFILL = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.assets(*BY_MONTH),
    description="Rebuild a range of event months from their slots, with what depends on them, and publish: one run.",
)


@dg.op(name="build_anew")
def _full_refresh(context: dg.OpExecutionContext, platform: Platform) -> None:
    run_build(platform.settings(), on_stage=context.log.info, is_full_refresh=True)


@dg.job(description="Read every validated slot again, compute every model anew, publish.")
def full_refresh() -> None:
    _full_refresh()


@dg.op(name="publish_warehouse")
def _publish(context: dg.OpExecutionContext, platform: Platform) -> None:
    with build_lock(settings := platform.settings()):
        manifest = publish_warehouse(settings, platform.storage())
    context.log.info(f"the newest snapshot is {manifest.number}")


@dg.op(name="revalidate_slots")
def _revalidate(context: dg.OpExecutionContext, platform: Platform) -> None:
    outcome = revalidate(platform.settings(), platform.storage())
    if outcome.blocked is not None:
        raise dg.Failure(outcome.blocked, allow_retries=False)
    context.log.info(
        f"judged {outcome.rows:,} bars again: {outcome.released:,} released, {outcome.quarantined:,} newly quarantined; "
        "the next build reads what moved"
    )


@dg.op(name="compact_chains")
def _compact(context: dg.OpExecutionContext, platform: Platform) -> None:
    made = compact(
        platform.storage(), ArchiveSize(), lambda archived: context.log.info(f"archived {archived.record.slots:,} slots")
    )
    context.log.info(f"archives made: {len(made):,}")


@dg.op(name="remove_expired_snapshots")
def _retention(context: dg.OpExecutionContext, platform: Platform) -> None:
    kept = timedelta(seconds=platform.settings().snapshot.retention_seconds)
    context.log.info(f"snapshots removed: {remove_expired(platform.storage(), kept):,}")


@dg.job(description="Publish what the warehouse holds, again if it was published: nothing is computed.")
def publish() -> None:
    _publish()


@dg.job(
    name="revalidate",
    description="Judge again, by the present rules, every bar that other rules judged; the next build reads what moved.",
)
def revalidation() -> None:
    _revalidate()


@dg.job(name="compact", description="Merge landed slots into archives, as many as fill one.")
def compaction() -> None:
    _compact()


@dg.job(description="Remove snapshots that were succeeded longer ago than `snapshot.retention_seconds`.")
def retention() -> None:
    _retention()


JOBS = (BUILD, BACKFILL, full_refresh, publish, revalidation, compaction, retention, FRESHNESS, GAPS)


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """What runs by the clock, in UTC, from the start."""
    running = dg.DefaultScheduleStatus.RUNNING
    chosen = settings.dagster
    return [
        dg.ScheduleDefinition(job=job, cron_schedule=cron, execution_timezone="UTC", default_status=running)
        for job, cron in (
            (compaction, chosen.compact_cron),
            (retention, chosen.retention_cron),
            (FRESHNESS, chosen.freshness_cron),
            (GAPS, chosen.gaps_cron),
        )
    ]
