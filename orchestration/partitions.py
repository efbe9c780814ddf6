"""Event months: what assets whose rows have a time are partitioned by, and how a run tells which of them changed."""

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION as NO_EVENT

from orchestration.telling import tell
from tickhouse.settings import Settings
from transform.backfill import Tell
from transform.changed_months import ModelRows
from transform.months import Months

MONTH = "%Y-%m"
MONTHS_AHEAD = 2
"""The month that is, and the next: what is after that is quarantined, for no message comes before its bar begins."""

Metadata = Mapping[str, dg.MetadataValue | float | int | str]

ONE_RUN = dg.BackfillPolicy.single_run()
"""A backfill of a range of months is one run."""


def event_months(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """A partition for each month from `dagster.first_month` on, in UTC; bars say which of them there is something of."""
    return dg.MonthlyPartitionsDefinition(settings.dagster.first_month, fmt=MONTH, end_offset=MONTHS_AHEAD)


def asked_months(context: dg.AssetExecutionContext) -> Months | None:
    """The months that the run is for; None of one that takes what is new."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    asked = context.partition_key_range
    return Months.between(asked.start, asked.end)


def month_events(
    context: dg.AssetExecutionContext, key: dg.AssetKey, changed: Mapping[str, int], metadata: Metadata
) -> Iterator[dg.MaterializeResult]:
    """A materialization for each month that changed, with how many rows did, and for each that the run is for; for no other.

    A run is for a range of months or for none, and what really changed is any set of them: so Dagster is told of each by itself,
    and the output that the next steps wait for makes no materialization of its own in a run that is for none.
    """
    asked = asked_months(context)
    others = {month: rows for month, rows in changed.items() if asked is None or month not in asked}
    tell(context, month_materializations(key, others, metadata))
    yield dg.MaterializeResult(asset_key=key, metadata=metadata if asked else {NO_EVENT: True})


def month_materializations(key: dg.AssetKey, changed: Mapping[str, int], metadata: Metadata) -> list[dg.AssetMaterialization]:
    """One for each month, which says how many rows came, went or are others."""
    return [
        dg.AssetMaterialization(key, partition=month, metadata={**metadata, "changed_rows": rows})
        for month, rows in changed.items()
    ]


def changed_months(model: str, rows: ModelRows) -> list[dg.AssetMaterialization]:
    """One for each month in which rows of the model changed; of a model whose rows have no month, none."""
    if (months := rows.changed.get(model)) is None:
        return []
    return month_materializations(dg.AssetKey(model), months, {"dagster/row_count": rows.total[model]})


def tell_in_log(context: dg.AssetExecutionContext) -> Tell:
    """Progress as lines of the run's log: a stage's begin and end, and every tenth of it between."""
    told: dict[str, int] = {}

    def tell(stage: str, done: int, total: int | None) -> None:
        tenth = 10 * done // total if total else done // 1_000_000
        if told.get(stage) != tenth:
            told[stage] = tenth
            context.log.info(f"{stage}: {done:,}{f' of {total:,}' if total else ''}")

    return tell
