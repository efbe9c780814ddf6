"""Validating new slots: batch by batch, quarantine first, then the record that lets models read the slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.chain.walk import Slot, SlotReader, find_chains, walk
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.validation.quarantine import quarantine_key, write_quarantine
from transform.validation.record import ValidationRecord, validated_end, write_record
from transform.validation.refusal import Refusal, write_refusal
from transform.validation.suite import RULE, batch_suite, fingerprint, row_suite

if TYPE_CHECKING:
    import great_expectations as gx

BATCH_ROWS = 200_000
"""Slots are taken together up to so many rows: what one validation holds in memory."""


class ValidationError(RuntimeError):
    """Great Expectations could not evaluate a rule: neither a pass nor a failure."""


@dataclass
class ValidationOutcome:
    """What validation found. `failures` counts failing rows by rule; `blocked` says why a batch was refused."""

    slots: int = 0
    rows: int = 0
    quarantined: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    rules: tuple[str, ...] = ()
    blocked: str | None = None


def validate_new_slots(
    settings: Settings,
    storage: Storage,
    known: Mapping[str, int] | None = None,
    on_batch: Callable[[ValidationOutcome], None] | None = None,
) -> ValidationOutcome:
    """Validate every landed slot that has no record yet, in chain order.

    `known` maps a chain's path to an offset below which everything is known to be validated (a hint that saves
    walking the whole chain). A refused batch leaves its slots without records, and so out of every model's
    sight, and a note of its refusal; what was validated before it stands. Raises ValidationError when a rule cannot be evaluated.
    """
    suites = _Suites()
    outcome = ValidationOutcome(rules=suites.rules)
    reader = SlotReader(storage)
    for chain in find_chains(storage):
        start = validated_end(storage, chain, (known or {}).get(chain.path))
        for slots in _batches(walk(storage, chain, start)):
            tables = [reader.read(chain, slot.footer.position, slot.footer.next_offset) for slot in slots]
            _validate(settings, storage, suites, slots, tables, outcome)
            if outcome.blocked is not None:
                return outcome
            if on_batch is not None:
                on_batch(outcome)
    return outcome


class _Suites:
    """The two suites and the batch definition they run on; an in-memory context, nothing on disk."""

    def __init__(self) -> None:
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("lake").add_dataframe_asset("landed_bars")
        self._definition = asset.add_batch_definition_whole_dataframe("batch")
        self.batch, self.row = batch_suite(), row_suite()
        self.fingerprint = fingerprint(self.batch, self.row)
        self.rules = tuple(
            _rule(expectation.configuration) for suite in (self.batch, self.row) for expectation in suite.expectations
        )

    def check(self, suite: gx.ExpectationSuite, frame: pd.DataFrame) -> dict[str, Any]:
        """Each failed rule with its result. Raises ValidationError for a rule that could not be evaluated."""
        batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
        results = batch.validate(suite, result_format="COMPLETE").results
        for result in results:
            if broken := _exception(result.exception_info):
                raise ValidationError(f"rule {_rule(result.expectation_config)} could not be evaluated: {broken}")
        return {_rule(result.expectation_config): result.result for result in results if not result.success}


def _rule(configuration: Any) -> str:
    return configuration.meta[RULE]


def _exception(info: dict[str, Any] | None) -> str | None:
    """Great Expectations reports an exception as a failure, flat or nested by metric."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    return next((str(entry["exception_message"]) for entry in entries if entry.get("raised_exception")), None)


def _batches(slots: Iterator[Slot]) -> Iterator[list[Slot]]:
    batch: list[Slot] = []
    rows = 0
    for slot in slots:
        if batch and rows + slot.footer.rows > BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(slot)
        rows += slot.footer.rows
    if batch:
        yield batch


def _validate(
    settings: Settings, storage: Storage, suites: _Suites, slots: list[Slot], tables: list[pa.Table], outcome: ValidationOutcome
) -> None:
    table = pa.concat_tables(tables)
    reasons = _reasons(suites, table, outcome) if table.num_rows else {}
    share = 100 * len(reasons) / max(table.num_rows, 1)
    if table.num_rows >= settings.validation.block_from_rows and share > settings.validation.max_quarantined_pct:
        outcome.blocked = (
            f"{len(reasons)} of {table.num_rows} rows ({share:.1f} %) of {slots[0].chain.path} "
            f"from offset {slots[0].footer.position} on "
            f"fail validation, more than validation.max_quarantined_pct = {settings.validation.max_quarantined_pct:g}"
        )
    if outcome.blocked is not None:
        place = slots[0].footer.position
        refusal = Refusal(position=place, reason=outcome.blocked, failing_rows=len(reasons), refused_at=datetime.now(UTC))
        write_refusal(storage, slots[0].chain, refusal)
        return
    first = 0
    for slot, rows in zip(slots, tables, strict=True):
        own = {row - first: broken for row, broken in reasons.items() if first <= row < first + rows.num_rows}
        _record(storage, suites.fingerprint, slot, rows, own)
        first += rows.num_rows
    outcome.slots += len(slots)
    outcome.rows += table.num_rows
    outcome.quarantined += len(reasons)
    outcome.failures.update(rule for broken in reasons.values() for rule in broken)


def _reasons(suites: _Suites, table: pa.Table, outcome: ValidationOutcome) -> dict[int, list[str]]:
    """Row number → the rules the row broke. Notes in `outcome` what blocks the batch as a whole."""
    frame = table.to_pandas()
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.tz_localize(None)  # all are UTC; Great Expectations compares bare values
    if failed := suites.check(suites.batch, frame):
        outcome.blocked = f"the batch breaks {', '.join(sorted(failed))}"
        return {}
    reasons: dict[int, list[str]] = {}
    for rule, result in sorted(suites.check(suites.row, frame).items()):
        for row in np.unique(result["unexpected_index_list"]):
            reasons.setdefault(int(row), []).append(rule)
    return reasons


def _record(storage: Storage, rules: str, slot: Slot, rows: pa.Table, reasons: dict[int, list[str]]) -> None:
    key = None
    if reasons:
        key = quarantine_key(slot.chain, slot.footer.position, rules)
        failing = sorted(reasons)
        write_quarantine(storage, key, rows.take(failing), [reasons[row] for row in failing])
    record = ValidationRecord(
        position=slot.footer.position,
        next_offset=slot.footer.next_offset,
        landed_rows=rows.num_rows,
        quarantined_rows=len(reasons),
        quarantine_key=key,
        rules=rules,
        validated_at=datetime.now(UTC),
    )
    write_record(storage, slot.chain, record)
