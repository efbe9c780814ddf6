"""The quarantined rows of a topic, as the records in force name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.chain.slot import Chain, as_landed, slot_name
from ingestion.chain.walk import find_chains, read_genesis
from ingestion.dlq.letter import Place
from tickhouse.storage import ObjectMissingError, Storage
from transform.validation.quarantine import AREA
from transform.validation.record import ValidationRecord, record_key
from transform.validation.revalidation import RecordsInForce


class RowMissingError(LookupError):
    """No quarantined row is at the place."""


@dataclass(frozen=True)
class Wanted:
    """Which rows are wanted; None wants all. `since` is in milliseconds since 1970 UTC, of Kafka's timestamp."""

    symbol: str | None = None
    rule: str | None = None
    since: int | None = None


@dataclass(frozen=True)
class QuarantinedRow:
    """A landed bar that no model reads, and why. `bar` is in `LANDED_SCHEMA`; `last_rules` name the rules that judged it last."""

    place: Place
    bar: dict[str, Any]
    broken: tuple[str, ...]
    chain: Chain
    record: ValidationRecord
    last_rules: str


@dataclass
class QuarantineCount:
    """How many rows; by rule a row counts for each that it breaks."""

    rows: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    symbols: Counter[str] = field(default_factory=Counter)


class QuarantineBook:
    """What is quarantined of a topic and its earlier incarnations when the book is opened.

    Opening reads the records of slots that have quarantined rows; rows are read slot by slot.
    """

    def __init__(self, storage: Storage, topic: str) -> None:
        self._storage = storage
        chains = [chain for chain in find_chains(storage) if chain.topic == topic]
        begun = {chain: read_genesis(storage, chain).begun_at for chain in chains}
        self.topic = topic
        self.present = max(chains, key=lambda chain: (begun[chain], chain)).topic_id if chains else None
        self._slots = {chain: self._quarantined(chain) for chain in chains}

    def place(self, text: str) -> Place:
        """The place that people write so. Raises ValueError for what is none."""
        return Place.parse(text, self.present)

    def newest(self, wanted: Wanted) -> Iterator[QuarantinedRow]:
        """The rows that are wanted, the newest by Kafka's timestamp first."""
        chains = [self._newest_of(chain, wanted) for chain in self._slots]
        return merge(*chains, key=lambda row: row.bar["kafka_timestamp"], reverse=True)

    def count(self, wanted: Wanted) -> QuarantineCount:
        """How many rows are wanted."""
        count = QuarantineCount()
        for slots in self._slots.values():
            for record, _rules in slots:
                rows = self._rows(record, wanted)
                count.rows += rows.num_rows
                count.symbols.update(rows["symbol"].to_pylist())
                count.rules.update(rule for broken in rows["reasons"].to_pylist() for rule in broken)
        return count

    def read(self, place: Place) -> QuarantinedRow:
        """The row at `place`. Raises RowMissingError."""
        chain = Chain(self.topic, place.topic_id, place.partition)
        for record, rules in self._slots.get(chain, []):
            if record.position <= place.offset < record.next_offset:
                rows = self._rows(record, Wanted())
                for row in rows.filter(pc.equal(rows["offset"], place.offset)).to_pylist():
                    return _row(chain, record, rules, row)
        raise RowMissingError(
            f"topic {self.topic} has no quarantined row at {place.text(self.present)}: "
            "`tickhouse quarantine list` shows those there are"
        )

    def _quarantined(self, chain: Chain) -> list[tuple[ValidationRecord, str]]:
        """The records in force of slots that have quarantined rows, each with the rules that judged it last, in chain order."""
        in_force = RecordsInForce(self._storage, chain)
        digits = len(slot_name(0))
        found = []
        for position in sorted({name[:digits] for name in self._storage.list_after(f"{AREA}/{chain.path}")}):
            try:
                first = ValidationRecord.model_validate_json(self._storage.get(record_key(chain, int(position))))
            except ObjectMissingError:
                continue  # of a validation that was killed, or that is on its way
            if (record := in_force.of(first)).quarantine_key is not None:
                found.append((record, in_force.rules_of(first)))
        return found

    def _newest_of(self, chain: Chain, wanted: Wanted) -> Iterator[QuarantinedRow]:
        for record, rules in reversed(self._slots[chain]):
            for row in reversed(self._rows(record, wanted).to_pylist()):
                yield _row(chain, record, rules, row)

    def _rows(self, record: ValidationRecord, wanted: Wanted) -> pa.Table:
        """A slot's quarantined rows that are wanted, in `LANDED_SCHEMA` and with their `reasons`."""
        assert record.quarantine_key is not None
        table = pq.read_table(self._storage.local_path(record.quarantine_key), partitioning=None)
        rows = as_landed(table).append_column("reasons", table["reasons"])
        if wanted.symbol is not None:
            rows = rows.filter(pc.equal(rows["symbol"], wanted.symbol))
        if wanted.since is not None:
            rows = rows.filter(pc.greater_equal(rows["kafka_timestamp"].cast(pa.int64()), wanted.since))
        if wanted.rule is not None:
            rows = rows.filter(pa.array([wanted.rule in broken for broken in rows["reasons"].to_pylist()], pa.bool_()))
        return rows


def _row(chain: Chain, record: ValidationRecord, rules: str, row: dict[str, Any]) -> QuarantinedRow:
    broken = tuple(row.pop("reasons"))
    return QuarantinedRow(Place(chain.topic_id, chain.partition, row["offset"]), row, broken, chain, record, rules)
