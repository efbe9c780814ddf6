"""The jobs people, sensors and schedules start."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.assets.alert import delivered_alert
from orchestration.assets.snapshot import told_snapshot
from orchestration.assets.upkeep import archived_slot, dbt_docs
from orchestration.assets.validation import BUILD_JOB
from orchestration.checks import FRESHNESS, GAPS, MARKET_CHECKS
from orchestration.partitions import changed_months
from orchestration.records import Kept, remove_old_records
from orchestration.resources import WAREHOUSE, Platform
from orchestration.retries import ANEW_AFTER_A_CRASH, tried_again
from orchestration.telling import tell
from tickhouse.settings import Settings
from transform.build_lock import build_lock
from transform.changed_months import BY_MONTH
from transform.publication import publish_warehouse
from transform.refresh import Refresh, refresh
from transform.snapshot.retention import remove_expired
from transform.validation.revalidation import revalidate

_TO_THE_SNAPSHOT = dg.AssetSelection.assets("published_snapshot").upstream()
_GATING_CHECKS = dg.AssetSelection.checks_for_assets("validated_slot")

BUILD = dg.define_asset_job(
    BUILD_JOB,
    # The models' own checks are dbt's tests: dbt runs those that new bars could fail, and tells of them, with the models.
    selection=_TO_THE_SNAPSHOT.without_checks() | _GATING_CHECKS,
    description="Validate what has landed, build the models, publish.",
)

TEST = dg.define_asset_job(
    "test",
    selection=dg.AssetSelection.all_asset_checks() - MARKET_CHECKS - _GATING_CHECKS,
    description="Run every test of the models over whole tables; a build runs some, over the rows that it touched.",
    tags=ANEW_AFTER_A_CRASH,
)

DELIVER = dg.define_asset_job(
    "deliver", selection=dg.AssetSelection.assets(delivered_alert), description="Deliver the alerts that wait for a channel."
)

BACKFILL = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.assets(*BY_MONTH).without_checks(),
    description="Rebuild a range of event months from their slots, with what depends on them, and publish: one run.",
    tags=ANEW_AFTER_A_CRASH,
)

COMPACT = dg.define_asset_job(
    "compact",
    selection=dg.AssetSelection.assets(archived_slot),
    description="Merge landed slots into archives, as many as fill one.",
    tags=ANEW_AFTER_A_CRASH,
)

DOCUMENT = dg.define_asset_job(
    "document",
    selection=dg.AssetSelection.assets(dbt_docs),
    description="Write the documentation of the dbt models anew.",
    tags=ANEW_AFTER_A_CRASH,
)


@dg.op(name="build_anew", pool=WAREHOUSE)
def _full_refresh(context: dg.OpExecutionContext, platform: Platform) -> None:
    with tried_again():
        done = refresh(platform.settings(), platform.storage(), is_full=True)
    _tell(context, done)


@dg.op(name="build_new", pool=WAREHOUSE)
def _build_new(context: dg.OpExecutionContext, platform: Platform) -> None:
    with tried_again():
        done = refresh(platform.settings(), platform.storage(), is_full=False)
    _tell(context, done)


def _tell(context: dg.OpExecutionContext, done: Refresh) -> None:
    for model in BY_MONTH:
        tell(context, changed_months(model, done.rows))
    tell(context, [told_snapshot(context.instance, done.manifest)])


@dg.job(description="Read every validated slot again, compute every model anew, publish.", tags=ANEW_AFTER_A_CRASH)
def full_refresh() -> None:
    _full_refresh()


@dg.job(
    description="Validate, model and publish what is new: the build to start by hand, for `build` would be asked for months.",
    tags=ANEW_AFTER_A_CRASH,
)
def build_by_hand() -> None:
    _build_new()


@dg.op(name="publish_warehouse", pool=WAREHOUSE)
def _publish(context: dg.OpExecutionContext, platform: Platform) -> None:
    with tried_again(), build_lock(settings := platform.settings()):
        manifest = publish_warehouse(settings, platform.storage())
    tell(context, [told_snapshot(context.instance, manifest)])


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


@dg.job(description="Remove snapshots that were succeeded longer ago than `snapshot.retention_seconds`.", tags=ANEW_AFTER_A_CRASH)
def retention() -> None:
    _retention()


@dg.op(name="remove_old_run_records")
def _run_retention(context: dg.OpExecutionContext, platform: Platform) -> None:
    chosen = platform.settings().dagster
    kept = Kept(timedelta(hours=chosen.run_retention_hours), chosen.run_retention_runs)
    context.log.info(f"removed: {remove_old_records(context.instance, kept, datetime.now(UTC))}")


@dg.job(
    description="Remove records of runs that ended, by `dagster.run_retention_hours` and `dagster.run_retention_runs`.",
    tags=ANEW_AFTER_A_CRASH,
)
def run_retention() -> None:
    _run_retention()


JOBS = (
    BUILD,
    BACKFILL,
    TEST,
    DELIVER,
    FRESHNESS,
    GAPS,
    COMPACT,
    DOCUMENT,
    build_by_hand,
    full_refresh,
    publish,
    revalidation,
    retention,
    run_retention,
)


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """What runs by the clock, in UTC, from the start."""
    running = dg.DefaultScheduleStatus.RUNNING
    chosen = settings.dagster
    return [
        dg.ScheduleDefinition(job=job, cron_schedule=cron, execution_timezone="UTC", default_status=running)
        for job, cron in (
            (TEST, chosen.test_cron),
            (FRESHNESS, chosen.freshness_cron),
            (GAPS, chosen.gaps_cron),
            (COMPACT, chosen.compact_cron),
            (DOCUMENT, chosen.docs_cron),
            (retention, chosen.retention_cron),
            (run_retention, chosen.run_retention_cron),
        )
    ]
