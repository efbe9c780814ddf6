"""Where the landed bars behind a value came from: their places in Kafka, their slots, their validation records."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingestion.chain.slot import Chain
from tickhouse.storage import ObjectMissingError, Storage
from transform.proof.explanation import Check, ExplainedSlot, FirstPlace, LandedPlace, Validation
from transform.proof.held import Held, Row
from transform.proof.lake import stored_slot
from transform.validation.record import ValidationRecord, record_key
from transform.validation.revalidation import RecordsInForce

_UNREADABLE = (ObjectMissingError, OSError, ValueError, pa.ArrowException)


def landed_places(storage: Storage, held: Held) -> tuple[tuple[LandedPlace, ...], tuple[Check, ...]]:
    """The places of the landed bar; of many finer bars of the first two and the last. The checks are of slots and records."""
    shown = held.landed if len(held.landed) <= 3 else [*held.landed[:2], held.landed[-1]]
    slots, checks = _slots(storage, held, shown)
    return tuple(_place(row, slots.get(row["slot_seq"])) for row in shown), checks


def _slots(storage: Storage, held: Held, shown: Sequence[Row]) -> tuple[dict[int, ExplainedSlot], tuple[Check, ...]]:
    """The slots of the rows by `slot_seq`, and what does not hold of them."""
    found: dict[int, ExplainedSlot] = {}
    checks = []
    for number in dict.fromkeys(row["slot_seq"] for row in shown):
        if number not in held.slots:
            continue  # the reading back says so
        registered = held.slots[number]
        try:
            slot = _slot(storage, registered)
        except _UNREADABLE as error:
            checks.append(Check(f"the slot {registered['key']} cannot be read: {error!r}", False))
            continue
        if slot is not None:
            found[number] = slot
            checks.append(_agrees(registered, slot))
    return found, tuple(checks)


def _slot(storage: Storage, registered: Row) -> ExplainedSlot | None:
    chain, position = Chain.of_path(registered["chain"]), registered["position"]
    if (slot := stored_slot(storage, chain, position)) is None:
        return None
    return ExplainedSlot(
        key=chain.slot_key(position),
        position=position,
        next_offset=slot.footer.next_offset,
        rows=slot.footer.rows,
        dead_letters=slot.footer.dead_letters,
        writer=slot.footer.writer,
        bars_key=slot.bars_key,
        archive_key=slot.archive_key,
        registered_by=registered["build_seq"],
        validation=_validation(storage, chain, position),
    )


def _validation(storage: Storage, chain: Chain, position: int) -> Validation | None:
    try:
        first = ValidationRecord.model_validate_json(storage.get(record_key(chain, position)))
    except ObjectMissingError:
        return None
    in_force = RecordsInForce(storage, chain)
    record = in_force.of(first)
    return Validation(in_force.key(position), record.rules, record.validated_at, record.landed_rows, record.quarantined_rows)


def _agrees(registered: Row, slot: ExplainedSlot) -> Check:
    """Whether slot, validation record and the warehouse's register say the same."""
    said, record = f"slot {slot.position:,}", slot.validation
    if record is None:
        return Check(f"the validation record of {said} is gone", False)
    counts = (slot.next_offset, slot.rows, record.landed_rows, record.quarantined_rows)
    expected = (registered["next_offset"], registered["landed_rows"], registered["landed_rows"], registered["quarantined_rows"])
    if counts != expected:
        return Check(f"{said} and its validation record say {counts}, and the warehouse registered {expected}", False)
    return Check(f"{said}, its validation record and the warehouse agree", True)


def _place(row: Row, slot: ExplainedSlot | None) -> LandedPlace:
    origin = None
    if row["origin_topic_id"] is not None:
        origin = FirstPlace(*(row[f"origin_{name}"] for name in ("topic_id", "partition", "offset", "timestamp")))
    own = {name: row[name] for name in ("ts", "topic", "topic_id", "partition", "offset", "kafka_timestamp", "produced_at")}
    return LandedPlace(**own, replay_of=origin, slot=slot)
