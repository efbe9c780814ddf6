"""The jobs people, sensors and schedules start."""

from datetime import timedelta

import dagster as dg

from ingestion.chain.compaction import Archived, ArchiveSize, compact
from orchestration.assets.alert import delivered_alert
from orchestration.resources import Platform
from orchestration.retries import ANEW_AFTER_A_CRASH, tried_again
from tickhouse.settings import Settings
from transform.build import run_build
from transform.changed_months import BY_MONTH
from transform.publication import publish_warehouse
from transform.snapshot.retention import remove_expired
from transform.validation.revalidation import revalidate
from transform.warehouse import build_lock

DELIVER = dg.define_asset_job(
    "deliver", selection=dg.AssetSelection.assets(delivered_alert), description="Deliver the alerts that wait for a channel."
)

BUILD = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(delivered_alert),
    description="Validate what has landed, build the models, publish.",
)

BACKFILL = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.assets(*BY_MONTH),
    description="Rebuild a range of event months from their slots, with what depends on them, and publish: one run.",
    tags=ANEW_AFTER_A_CRASH,
)


@dg.op(name="build_anew")
def _full_refresh(context: dg.OpExecutionContext, platform: Platform) -> None:
    with tried_again():
        run_build(platform.settings(), on_stage=context.log.info, is_full_refresh=True)


@dg.job(description="Read every validated slot again, compute every model anew, publish.", tags=ANEW_AFTER_A_CRASH)
def full_refresh() -> None:
    _full_refresh()


@dg.op(name="publish_warehouse")
def _publish(context: dg.OpExecutionContext, platform: Platform) -> None:
    with tried_again(), build_lock(settings := platform.settings()):
        manifest = publish_warehouse(settings, platform.storage())
    context.log.info(f"the newest snapshot is {manifest.number}")


@dg.op(name="revalidate_slots")
def _revalidate(context: dg.OpExecutionContext, platform: Platform) -> None:
    with tried_again():
        outcome = revalidate(platform.settings(), platform.storage())
    if outcome.blocked is not None:
        raise dg.Failure(outcome.blocked, allow_retries=False)
    context.log.info(
        f"judged {outcome.rows:,} bars again: {outcome.released:,} released, {outcome.quarantined:,} newly quarantined; "
        "the next build reads what moved"
    )


@dg.op(name="compact_chains")
def _compact(context: dg.OpExecutionContext, platform: Platform) -> None:
    def tell(archived: Archived) -> None:
        context.log.info(f"archived {archived.record.slots:,} slots")

    with tried_again():
        made = compact(platform.storage(), ArchiveSize(), tell)
    context.log.info(f"archives made: {len(made):,}")


@dg.op(name="remove_expired_snapshots")
def _retention(context: dg.OpExecutionContext, platform: Platform) -> None:
    kept = timedelta(seconds=platform.settings().snapshot.retention_seconds)
    with tried_again():
        context.log.info(f"snapshots removed: {remove_expired(platform.storage(), kept):,}")


@dg.job(description="Publish what the warehouse holds, again if it was published: nothing is computed.", tags=ANEW_AFTER_A_CRASH)
def publish() -> None:
    _publish()


@dg.job(
    name="revalidate",
    description="Judge again, by the present rules, every bar that other rules judged; the next build reads what moved.",
    tags=ANEW_AFTER_A_CRASH,
)
def revalidation() -> None:
    _revalidate()


@dg.job(name="compact", description="Merge landed slots into archives, as many as fill one.", tags=ANEW_AFTER_A_CRASH)
def compaction() -> None:
    _compact()


@dg.job(description="Remove snapshots that were succeeded longer ago than `snapshot.retention_seconds`.", tags=ANEW_AFTER_A_CRASH)
def retention() -> None:
    _retention()


JOBS = (BUILD, DELIVER, BACKFILL, full_refresh, publish, revalidation, compaction, retention)


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """What runs by the clock, in UTC, from the start."""
    running = dg.DefaultScheduleStatus.RUNNING
    return [
        dg.ScheduleDefinition(job=job, cron_schedule=cron, execution_timezone="UTC", default_status=running)
        for job, cron in ((compaction, settings.dagster.compact_cron), (retention, settings.dagster.retention_cron))
    ]
