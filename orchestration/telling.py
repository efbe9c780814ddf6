"""Telling Dagster of what a step did beside its outputs: months that changed, checks that ran."""

from collections.abc import Sequence
from uuid import uuid4

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, DagsterEventType, StepMaterializationData

Told = dg.AssetMaterialization | dg.AssetCheckEvaluation


def tell(context: dg.OpExecutionContext | dg.AssetExecutionContext, told: Sequence[Told]) -> None:
    """Log them as the run's; materializations in batches of `DAGSTER_EVENT_BATCH_SIZE` where that is set: they may be hundreds.

    Dagster's own way, which is to yield them, stores each by itself, and has a check evaluated only where the run planned to.
    """
    step = context.get_step_execution_context()
    batch = str(uuid4())
    for number, each in enumerate(told, start=1):
        is_check = isinstance(each, dg.AssetCheckEvaluation)
        DagsterEvent.from_step(
            event_type=DagsterEventType.ASSET_CHECK_EVALUATION if is_check else DagsterEventType.ASSET_MATERIALIZATION,
            step_context=step,
            event_specific_data=each if isinstance(each, dg.AssetCheckEvaluation) else StepMaterializationData(each),
            message=_message(each),
            batch_metadata=None if is_check else DagsterEventBatchMetadata(batch, number == len(told)),
        )


def _message(told: Told) -> str:
    asset = told.asset_key.to_user_string()
    if isinstance(told, dg.AssetMaterialization):
        return f"Materialized {asset} {told.partition or ''}".rstrip() + "."
    return f"Check {told.check_name} of {asset} {'passed' if told.passed else 'failed'}."
