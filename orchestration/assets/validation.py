"""Validation as an asset: its checks gate everything after it."""

from collections.abc import Iterator

import dagster as dg

from orchestration.assets.landing import LANDED_SLOT
from orchestration.partitions import ONE_RUN, MonthEvent, asked_months, event_months, month_events, tell_in_log
from orchestration.resources import Platform
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform import build
from transform.backfill import revalidate_scope, scope_of
from transform.validation.run import ValidationOutcome

KEY = dg.AssetKey("validated_slot")
BATCH_CHECK = "batch_is_valid"
ROW_CHECK = "rows_are_valid"


def validation_asset(settings: Settings) -> dg.AssetsDefinition:
    """Slots with a validation record; a run that is for months judges theirs again where other rules judged them last."""

    @dg.asset(
        key=KEY,
        deps=[LANDED_SLOT],
        group_name="landing",
        kinds={"greatexpectations", "parquet"},
        partitions_def=event_months(settings),
        backfill_policy=ONE_RUN,
        description="Slots with a validation record. A row that breaks a rule goes to quarantine with the rule's name.",
        check_specs=[
            dg.AssetCheckSpec(
                BATCH_CHECK,
                asset=KEY,
                blocking=True,
                description="The batch keeps the bar contract, and few enough rows are quarantined.",
            ),
            dg.AssetCheckSpec(ROW_CHECK, asset=KEY, description="No row was quarantined."),
        ],
    )
    def validated_slot(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[MonthEvent | dg.AssetCheckResult]:
        outcome = _validate(context, platform.settings(), platform.storage())
        yield from _events(context, outcome, dg.MetadataValue.url(platform.settings().docs.validation_url))
        if outcome.blocked is not None:
            raise dg.Failure(outcome.blocked, allow_retries=False)

    return validated_slot


def _validate(context: dg.AssetExecutionContext, settings: Settings, storage: Storage) -> ValidationOutcome:
    months = asked_months(context)
    if months is None:
        return build.validate(settings, storage)
    return revalidate_scope(settings, storage, scope_of(storage, months), tell_in_log(context))


def _events(
    context: dg.AssetExecutionContext, outcome: ValidationOutcome, url: dg.MetadataValue
) -> Iterator[MonthEvent | dg.AssetCheckResult]:
    docs = {"data_docs": url}
    failures = {rule: dg.MetadataValue.int(rows) for rule, rows in outcome.failures.items()}
    if outcome.blocked is None:
        counts = {"slots": outcome.slots, "rows": outcome.rows, "quarantined": outcome.quarantined}
        yield from month_events(context, KEY, dict(sorted(outcome.months.items())), {**counts, **docs})
    yield dg.AssetCheckResult(
        check_name=BATCH_CHECK,
        passed=outcome.blocked is None,
        metadata={"rules": len(outcome.rules), **({"blocked": outcome.blocked} if outcome.blocked else {}), **docs},
    )
    yield dg.AssetCheckResult(
        check_name=ROW_CHECK, passed=not outcome.quarantined, severity=dg.AssetCheckSeverity.WARN, metadata={**failures, **docs}
    )
