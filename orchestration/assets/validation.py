"""Validation as an asset: its checks gate everything after it."""

from collections.abc import Iterator

import dagster as dg

from orchestration.assets.landing import LANDED_SLOT
from orchestration.resources import Platform
from orchestration.teams import DATA_PLATFORM
from transform import build
from transform.build_lock import build_lock

BUILD_JOB = "build"
"""The job that the sensor runs for whatever is new. Every other run was asked for: it publishes, and tells of all it selects."""

KEY = dg.AssetKey("validated_slot")
BATCH_CHECK = "batch_is_valid"
ROW_CHECK = "rows_are_valid"


@dg.asset(
    key=KEY,
    deps=[LANDED_SLOT],
    group_name="validation",
    owners=[DATA_PLATFORM],
    kinds={"greatexpectations", "parquet"},
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
def validated_slot(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    settings = platform.settings()
    if context.job_name == BUILD_JOB:  # started beside the build before: what lands until that ends is this one's too
        with build_lock(settings, context.log.info):
            pass
    outcome = build.validate(settings, platform.storage())
    docs = {"data_docs": dg.MetadataValue.url(settings.docs.validation_url)}
    failures = {rule: dg.MetadataValue.int(rows) for rule, rows in outcome.failures.items()}
    if outcome.blocked is None:
        months = ", ".join(sorted(outcome.months))
        counts: dict[str, int | str] = {
            "slots": outcome.slots,
            "rows": outcome.rows,
            "quarantined": outcome.quarantined,
            "event_months": months,
        }
        yield dg.MaterializeResult(metadata={**counts, **docs})
    yield dg.AssetCheckResult(
        check_name=BATCH_CHECK,
        passed=outcome.blocked is None,
        metadata={"rules": len(outcome.rules), **({"blocked": outcome.blocked} if outcome.blocked else {}), **docs},
    )
    yield dg.AssetCheckResult(
        check_name=ROW_CHECK, passed=not outcome.quarantined, severity=dg.AssetCheckSeverity.WARN, metadata={**failures, **docs}
    )
    if outcome.blocked is not None:
        raise dg.Failure(outcome.blocked, allow_retries=False)
