"""Validating new slots: batch by batch, quarantine first, then the record that lets models read the slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.walk import Slot, SlotReader, find_chains, walk
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.validation.judge import BATCH_ROWS, Judge, Reasons, judge_by
from transform.validation.quarantine import quarantine_key, write_quarantine
from transform.validation.record import ValidationRecord, validated_end, write_record
from transform.validation.refusal import Refusal, write_refusal


@dataclass
class ValidationOutcome:
    """What validation found. `failures` counts failing rows by rule; `blocked` says why a batch was refused.

    `months` counts validated rows by event month, `2008-01`.
    """

    slots: int = 0
    rows: int = 0
    quarantined: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
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
    judge = judge_by(settings.validation)
    outcome = ValidationOutcome(rules=judge.rules)
    reader = SlotReader(storage)
    for chain in find_chains(storage):
        start = validated_end(storage, chain, (known or {}).get(chain.path))
        for slots in _batches(walk(storage, chain, start)):
            tables = [reader.read(chain, slot.footer.position, slot.footer.next_offset) for slot in slots]
            _validate(storage, judge, slots, tables, outcome)
            if outcome.blocked is not None:
                return outcome
            if on_batch is not None:
                on_batch(outcome)
    return outcome


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


def _validate(storage: Storage, judge: Judge, slots: list[Slot], tables: list[pa.Table], outcome: ValidationOutcome) -> None:
    chain, position = slots[0].chain, slots[0].footer.position
    judgement = judge.judge(pa.concat_tables(tables), f"{chain.path} from offset {position} on")
    if judgement.blocked is not None:
        outcome.blocked = judgement.blocked
        failing = len(judgement.reasons)
        refusal = Refusal(position=position, reason=judgement.blocked, failing_rows=failing, refused_at=datetime.now(UTC))
        write_refusal(storage, chain, refusal)
        return
    for slot, rows, reasons in zip(slots, tables, judgement.parts(tables), strict=True):
        _record(storage, judge.fingerprint, slot, rows, reasons)
    outcome.slots += len(slots)
    outcome.rows += judgement.rows
    outcome.quarantined += len(judgement.reasons)
    outcome.failures += judgement.failures
    for rows in tables:
        for each in pc.value_counts(pc.strftime(rows["ts"], "%Y-%m")):
            outcome.months[each["values"].as_py()] += each["counts"].as_py()


def _record(storage: Storage, rules: str, slot: Slot, rows: pa.Table, reasons: Reasons) -> None:
    key = None
    if reasons:
        key = quarantine_key(slot.chain, slot.footer.position, rules)
        write_quarantine(storage, key, rows, reasons)
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
