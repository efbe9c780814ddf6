"""Judging again, by the present rules, what other rules judged.

Validation records are never rewritten. A revalidation is an object beside them, `revalidated/<chain>/<n, 20 digits>.json`, put if
absent: it names the slots it judged and carries a record for each whose quarantine changed. The newest such record is in force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from ingestion.chain.slot import Chain, slot_name
from ingestion.chain.walk import SlotReader, find_chains
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.validation.judge import BATCH_ROWS, Judge, Reasons
from transform.validation.quarantine import quarantine_key, write_quarantine
from transform.validation.record import ValidationRecord, record_key, walk_records

AREA = "revalidated"


class RevalidationConflictError(RuntimeError):
    """Another revalidation of the chain came first; what this one did before stands."""


class Revalidation(BaseModel):
    """What the rules named `rules` made of the slots from `position` to `next_offset` − 1, in UTC at `revalidated_at`.

    `changed` are the records of slots whose quarantine is another now, in chain order. `released` rows left it and `quarantined`
    rows went there; where only the names of broken rules changed both are 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: int
    next_offset: int
    rules: str
    revalidated_at: datetime
    released: int
    quarantined: int
    changed: tuple[ValidationRecord, ...]


def revalidation_key(chain: Chain, number: int) -> str:
    return f"{AREA}/{chain.path}/{slot_name(number)}.json"


class RecordsInForce:
    """The validation records of a chain as revalidations left them.

    It costs a list, and a small file for each revalidated batch; on S3 files that were read once are kept.
    """

    def __init__(self, storage: Storage, chain: Chain) -> None:
        self._chain = chain
        self._names = list(storage.list_after(f"{AREA}/{chain.path}"))
        keys = [f"{AREA}/{chain.path}/{name}" for name in self._names]
        self.revalidations = [Revalidation.model_validate_json(storage.local_path(key).read_bytes()) for key in keys]
        self._changed: dict[int, tuple[str, ValidationRecord]] = {}
        for key, revalidation in zip(keys, self.revalidations, strict=True):
            self._changed.update({record.position: (key, record) for record in revalidation.changed})

    @property
    def next_number(self) -> int:
        """The number that the chain's next revalidation takes."""
        return int(self._names[-1].removesuffix(".json")) + 1 if self._names else 0

    @property
    def changed(self) -> list[ValidationRecord]:
        """The records that stand for first ones, in the order of their slots."""
        return [self._changed[position][1] for position in sorted(self._changed)]

    @property
    def changes(self) -> int:
        """How many of the revalidations changed a slot's quarantine, be it the names of what a row broke."""
        return sum(bool(revalidation.changed) for revalidation in self.revalidations)

    def of(self, record: ValidationRecord) -> ValidationRecord:
        """The record in force of the slot whose first one is `record`."""
        return self._changed[record.position][1] if record.position in self._changed else record

    def key(self, position: int) -> str:
        """The object that has the record in force of the slot at `position`."""
        return self._changed[position][0] if position in self._changed else record_key(self._chain, position)

    def rules_of(self, record: ValidationRecord) -> str:
        """The rules that judged the slot last."""
        over = (each.rules for each in reversed(self.revalidations) if each.position <= record.position < each.next_offset)
        return next(over, record.rules)


@dataclass
class RevalidationOutcome:
    """What a revalidation came to. `slots` are those whose quarantine changed; `failures` count newly quarantined rows by rule.

    `rows` were judged again, `blocked` says why a batch was refused: its slots, and all behind them, are as they were.
    """

    rows: int = 0
    slots: int = 0
    released: int = 0
    quarantined: int = 0
    renamed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    blocked: str | None = None


def revalidate(
    settings: Settings,
    storage: Storage,
    *,
    slots: Collection[tuple[str, int]] | None = None,
    is_dry: bool = False,
    on_rows: Callable[[int], object] | None = None,
) -> RevalidationOutcome:
    """Judge every validated slot again whose last rules are not the present ones; `on_rows` is told how many rows by now.

    `slots`, each a chain's path and a position, are those to judge where not all are. Each batch is one object: killed at any
    moment, a batch is judged anew or is not, and the next call goes on. A dry one writes nothing. The next build reads what
    changed. Raises RevalidationConflictError and ValidationError.
    """
    judge, reader, outcome = Judge(settings.validation), SlotReader(storage), RevalidationOutcome()
    for chain in find_chains(storage):
        in_force = RecordsInForce(storage, chain)
        number = in_force.next_number
        for records in _outdated(storage, chain, in_force, judge.fingerprint, slots):
            batch = _judged(storage, reader, judge, chain, records, outcome, is_dry=is_dry)
            if batch is None:
                return outcome
            if not is_dry:
                if not storage.put_if_absent(revalidation_key(chain, number), batch.model_dump_json().encode()):
                    raise RevalidationConflictError(
                        f"another revalidation of {chain.path} came first: see what it did, then run this again"
                    )
                number += 1
            if on_rows is not None:
                on_rows(outcome.rows)
    return outcome


def _outdated(
    storage: Storage, chain: Chain, in_force: RecordsInForce, rules: str, slots: Collection[tuple[str, int]] | None
) -> Iterator[list[ValidationRecord]]:
    """The records in force that other rules made, by batches of slots that follow each other."""
    batch: list[ValidationRecord] = []
    rows = 0
    for first in walk_records(storage, chain):
        is_chosen = slots is None or (chain.path, first.position) in slots
        is_outdated = is_chosen and in_force.rules_of(first) != rules
        if batch and (not is_outdated or rows + first.landed_rows > BATCH_ROWS):
            yield batch
            batch, rows = [], 0
        if is_outdated:
            batch.append(in_force.of(first))
            rows += first.landed_rows
    if batch:
        yield batch


def _judged(
    storage: Storage,
    reader: SlotReader,
    judge: Judge,
    chain: Chain,
    records: list[ValidationRecord],
    outcome: RevalidationOutcome,
    *,
    is_dry: bool,
) -> Revalidation | None:
    """The batch judged again, and counted in `outcome`; None when it is refused."""
    tables = [reader.read(chain, record.position, record.next_offset) for record in records]
    judgement = judge.judge(pa.concat_tables(tables), f"{chain.path} from offset {records[0].position} on")
    if judgement.blocked is not None:
        outcome.blocked = judgement.blocked
        return None
    now = datetime.now(UTC)
    released, quarantined, changed = outcome.released, outcome.quarantined, []
    for record, rows, reasons in zip(records, tables, judgement.parts(tables), strict=True):
        if _differs(storage, record, rows, reasons, outcome):
            changed.append(_changed(storage, judge.fingerprint, chain, record, rows, reasons, now, is_dry=is_dry))
    outcome.rows += judgement.rows
    outcome.slots += len(changed)
    return Revalidation(
        position=records[0].position,
        next_offset=records[-1].next_offset,
        rules=judge.fingerprint,
        revalidated_at=now,
        released=outcome.released - released,
        quarantined=outcome.quarantined - quarantined,
        changed=tuple(changed),
    )


def _differs(storage: Storage, record: ValidationRecord, rows: pa.Table, reasons: Reasons, outcome: RevalidationOutcome) -> bool:
    """Whether the slot's quarantine is another now; counts what moved."""
    offsets = rows["offset"].to_pylist() if reasons else []
    now = {offsets[row]: broken for row, broken in reasons.items()}
    before: dict[int, list[str]] = {}
    if record.quarantine_key is not None:
        table = pq.read_table(storage.local_path(record.quarantine_key), columns=["offset", "reasons"], partitioning=None)
        before = dict(zip(table["offset"].to_pylist(), table["reasons"].to_pylist(), strict=True))
    outcome.released += len(before.keys() - now.keys())
    outcome.quarantined += len(now.keys() - before.keys())
    outcome.renamed += sum(before[offset] != now[offset] for offset in before.keys() & now.keys())
    outcome.failures.update(rule for offset in now.keys() - before.keys() for rule in now[offset])
    return before != now


def _changed(
    storage: Storage,
    rules: str,
    chain: Chain,
    record: ValidationRecord,
    rows: pa.Table,
    reasons: Reasons,
    now: datetime,
    *,
    is_dry: bool,
) -> ValidationRecord:
    """The record that stands for `record` from now on; its quarantine is written, unless it is dry."""
    key = quarantine_key(chain, record.position, rules) if reasons else None
    if key is not None and not is_dry:
        write_quarantine(storage, key, rows, reasons)
    changes = {"quarantined_rows": len(reasons), "quarantine_key": key, "rules": rules, "validated_at": now}
    return record.model_copy(update=changes)
