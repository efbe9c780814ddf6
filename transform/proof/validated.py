"""The validation records of a chain and its quarantine, held against the slots they are of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.archive import checksum_of
from ingestion.chain.slot import Chain, as_landed, slot_name
from tickhouse.bar import LANDED_SCHEMA
from transform.proof.files import LakeFiles
from transform.proof.finding import RESTORE, VALIDATE_AGAIN
from transform.proof.slots import ProvenSlot
from transform.validation.quarantine import AREA as QUARANTINE
from transform.validation.record import AREA, ValidationRecord, record_key
from transform.validation.revalidation import AREA as REVALIDATED
from transform.validation.revalidation import RecordsInForce


class ValidatedChain:
    """Proves the records of one chain, slot by slot. `rows` and `quarantined` count the bars of slots that have a record.

    Below the newest record, and below `watermark`, every slot must have one.
    """

    def __init__(self, files: LakeFiles, chain: Chain, watermark: int = 0) -> None:
        self._files = files
        self._findings = files.findings
        self._chain = chain
        names = [name for name in files.storage.list_after(f"{AREA}/{chain.path}") if len(name) == len(f"{slot_name(0)}.json")]
        self._newest = max(watermark - 1, *(int(name.removesuffix(".json")) for name in names), -1)
        self._positions: set[int] = set()
        self._quarantine_keys: set[str] = set()
        self._in_force = self._read_revalidations()
        self.rows = 0
        self.quarantined = 0

    def offered(self, slot: ProvenSlot) -> pa.Table | None:
        """The slot's bars less its quarantined rows: what models read of it. None while the slot is not validated."""
        record = self._record(slot)
        if record is None:
            return None
        rejected = self._rejected(slot, record)
        self.rows += slot.bars.num_rows
        self.quarantined += len(rejected)
        return slot.bars.filter(pc.invert(pc.is_in(slot.bars["offset"], value_set=rejected))) if len(rejected) else slot.bars

    def note_litter(self, end: int) -> None:
        """Note records and quarantine files of no slot below `end`, where the walk has come; nobody reads them."""
        for what, area, named in (
            ("validation records", AREA, {record_key(self._chain, position) for position in self._positions}),
            ("quarantine files", QUARANTINE, self._quarantine_keys),
        ):
            folder = f"{area}/{self._chain.path}"
            keys = {f"{folder}/{name}" for name in self._files.storage.list_after(folder) if name < slot_name(end)}
            if count := len({key for key in keys - named if not key.endswith("-refused.json")}):
                self._findings.note(f"{count:,} {what} in {folder} that belong to no slot: harmless, nobody reads them")

    def _record(self, slot: ProvenSlot) -> ValidationRecord | None:
        position = slot.footer.position
        key = record_key(self._chain, position)
        data = self._files.get(key)
        expected = f"the record of {slot.bars.num_rows:,} bars, offsets {position} to {slot.footer.next_offset - 1}"
        if data is None:
            if position <= self._newest:
                found = "no such object, though later slots are validated or published"
                self._findings.add("validation record missing", key, expected=expected, found=found, remedy=VALIDATE_AGAIN)
            return None
        self._positions.add(position)
        try:
            record = ValidationRecord.model_validate_json(data)
        except ValueError as error:
            found = f"it cannot be read: {str(error).splitlines()[0]}"
            self._findings.add("validation record damaged", key, expected=expected, found=found, remedy=VALIDATE_AGAIN)
            return None
        self._prove_record(slot, record, key, expected)
        return record if self._in_force is None else self._of_revalidation(slot, record, expected)

    def _of_revalidation(self, slot: ProvenSlot, first: ValidationRecord, expected: str) -> ValidationRecord:
        """The record in force, proven; what the first one quarantined stays where it is."""
        assert self._in_force is not None
        record = self._in_force.of(first)
        if record is not first:
            self._prove_record(slot, record, self._in_force.key(first.position), expected)
            self._quarantine_keys |= {first.quarantine_key} if first.quarantine_key is not None else set()
        return record

    def _read_revalidations(self) -> RecordsInForce | None:
        try:
            in_force = RecordsInForce(self._files.storage, self._chain)
        except ValueError as error:
            key, found = f"{REVALIDATED}/{self._chain.path}", f"one of them cannot be read: {str(error).splitlines()[0]}"
            self._findings.add("revalidation damaged", key, expected="revalidations", found=found, remedy=RESTORE)
            return None
        superseded = (record.quarantine_key for each in in_force.revalidations for record in each.changed)
        self._quarantine_keys |= {key for key in superseded if key is not None}
        return in_force

    def _prove_record(self, slot: ProvenSlot, record: ValidationRecord, key: str, expected: str) -> None:
        of_slot = (slot.footer.position, slot.footer.next_offset, slot.bars.num_rows)
        found = []
        if (record.position, record.next_offset, record.landed_rows) != of_slot:
            found.append(f"{record.landed_rows:,} bars, offsets {record.position} to {record.next_offset - 1}")
        if (record.quarantine_key is None) != (record.quarantined_rows == 0):
            found.append(f"{record.quarantined_rows:,} quarantined rows, and {record.quarantine_key or 'no file'} of them")
        if found:
            self._findings.add("validation record wrong", key, expected=expected, found="; ".join(found), remedy=VALIDATE_AGAIN)

    def _rejected(self, slot: ProvenSlot, record: ValidationRecord) -> pa.Array:
        """The offsets that are quarantined, as far as they can be read."""
        none = pa.array([], pa.int64())
        if (key := record.quarantine_key) is None:
            return none
        self._quarantine_keys.add(key)
        expected = f"{record.quarantined_rows:,} rows of the slot at {record.position}, each with what it broke"
        table = self._files.needed("quarantine", key, expected, VALIDATE_AGAIN)
        if table is None:
            return none
        if wrong := _quarantine_faults(slot, record, table):
            self._findings.add("quarantine wrong", key, expected=expected, found="; ".join(wrong), remedy=VALIDATE_AGAIN)
        return table["offset"].combine_chunks()


def _quarantine_faults(slot: ProvenSlot, record: ValidationRecord, table: pa.Table) -> list[str]:
    wrong = []
    if table.num_rows != record.quarantined_rows:
        wrong.append(f"{table.num_rows:,} rows, and the record counts {record.quarantined_rows:,}")
    rows = as_landed(table).sort_by("offset")
    offsets = rows["offset"].to_numpy()
    if len(np.unique(offsets)) != len(offsets):
        wrong.append("a row is there twice")
    else:
        own = slot.bars.filter(pc.is_in(slot.bars["offset"], value_set=rows["offset"].combine_chunks()))
        if own.num_rows != rows.num_rows:
            wrong.append(f"{rows.num_rows - own.num_rows:,} rows are none of the slot's")
        elif checksum_of(own.cast(LANDED_SCHEMA), ()) != checksum_of(rows.cast(LANDED_SCHEMA), ()):
            wrong.append("rows are not what the slot has at their offsets")
    reasons = table["reasons"].to_pylist() if "reasons" in table.column_names else [None] * table.num_rows
    if not all(reasons):
        wrong.append("rows without a reason")
    return wrong
