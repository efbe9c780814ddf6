"""The validation record of a slot: without one, no model ever reads the slot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ingestion.chain.slot import Chain, slot_name
from ingestion.chain.walk import read_genesis
from tickhouse.storage import ObjectMissingError, Storage

AREA = "validated"


class ValidationRecord(BaseModel):
    """What validation found in one slot. Times are UTC; landed = valid + quarantined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: int
    next_offset: int
    landed_rows: int
    quarantined_rows: int
    quarantine_key: str | None
    rules: str
    validated_at: datetime


def record_key(chain: Chain, position: int) -> str:
    return f"{AREA}/{chain.path}/{slot_name(position)}.json"


def write_record(storage: Storage, chain: Chain, record: ValidationRecord) -> None:
    """Let models read the slot. Another validator's record, if it was first, stands."""
    storage.put_if_absent(record_key(chain, record.position), record.model_dump_json().encode())


def walk_records(storage: Storage, chain: Chain, position: int | None = None) -> Iterator[ValidationRecord]:
    """The records in chain order, from `position` (the genesis when None) to the first slot without one."""
    at = read_genesis(storage, chain).position if position is None else position
    while True:
        try:
            record = ValidationRecord.model_validate_json(storage.get(record_key(chain, at)))
        except ObjectMissingError:
            return
        yield record
        at = record.next_offset


def validated_end(storage: Storage, chain: Chain, position: int | None = None) -> int:
    """The offset below which every slot of the chain has a record, looking from `position` on."""
    end = read_genesis(storage, chain).position if position is None else position
    for record in walk_records(storage, chain, end):
        end = record.next_offset
    return end
