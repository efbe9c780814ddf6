"""Reading registered slots for the staging model: their bars less their quarantined rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.slot import Chain
from ingestion.chain.walk import SlotReader
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.storage import Storage
from transform.validation.quarantine import quarantined_offsets, quarantined_rows

OnSlot = Callable[[int, int], object]
"""Told how many of how many slots were read again."""

_Slot = TypeVar("_Slot")
_TIME = pa.timestamp("us", tz="UTC")
_BEFORE_ALL = pa.scalar(0, _TIME)

STAGED_SCHEMA = pa.schema(
    [
        *(field.remove_metadata().with_nullable(True) for field in LANDED_SCHEMA),
        pa.field("topic_begun_at", _TIME),
        pa.field("origin_begun_at", _TIME),
        pa.field("slot_seq", pa.int64()),
        pa.field("change_seq", pa.int64()),
    ]
)

QUARANTINED_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", _TIME),
        ("broken_rules", pa.list_(pa.string())),
        ("topic_id", pa.string()),
        ("partition", LANDED_SCHEMA.field("partition").type),
        ("offset", pa.int64()),
        ("slot_seq", pa.int64()),
        ("change_seq", pa.int64()),
    ]
)


def staged_bars(
    storage: Storage,
    session: duckdb.DuckDBPyConnection,
    slots: duckdb.DuckDBPyRelation,
    stored: duckdb.DuckDBPyRelation | None,
    change_seq: int,
) -> pa.RecordBatchReader:
    """The bars of the slots that `stored` (`stg_bar` as it is, None for a full refresh) does not hold yet.

    They come slot by slot: memory is bounded by the largest slot or archive, not by the backlog.
    """
    seen = "0" if stored is None else "(select coalesce(max(slot_seq), 0) from stored)"
    pending = session.sql(
        f"select slot_seq, chain, position, next_offset, quarantine_key, topic_begun_at "
        f"from slots where slot_seq > {seen} order by slot_seq"
    ).to_arrow_table()
    begun_at = _begun_at(slots)
    return pa.RecordBatchReader.from_batches(STAGED_SCHEMA, _batches(storage, pending.to_pylist(), begun_at, change_seq))


def reread_bars(
    storage: Storage,
    session: duckdb.DuckDBPyConnection,
    slot_seqs: Sequence[int],
    change_seq: int,
    on_slot: OnSlot | None = None,
) -> pa.RecordBatchReader:
    """The bars of registered slots as their records say now, slot by slot; `on_slot` is told how many of how many were read."""
    pending = session.sql(
        "select slot_seq, chain, position, next_offset, quarantine_key, topic_begun_at "
        "from landing.slot where slot_seq in (select unnest(?::bigint[])) order by slot_seq",
        params=[list(slot_seqs)],
    ).to_arrow_table()
    slots = _told(pending.to_pylist(), on_slot)
    begun_at = _begun_at(session.table("landing.slot"))
    return pa.RecordBatchReader.from_batches(STAGED_SCHEMA, _batches(storage, slots, begun_at, change_seq))


def reread_quarantined(
    storage: Storage,
    session: duckdb.DuckDBPyConnection,
    slot_seqs: Sequence[int],
    change_seq: int,
    on_slot: OnSlot | None = None,
) -> pa.RecordBatchReader:
    """The quarantined rows of registered slots as their records say now."""
    pending = session.execute(
        "select slot_seq, quarantine_key from landing.slot "
        "where quarantine_key is not null and slot_seq in (select unnest(?::bigint[])) order by slot_seq",
        [list(slot_seqs)],
    ).fetchall()
    return pa.RecordBatchReader.from_batches(QUARANTINED_SCHEMA, _quarantined(storage, _told(pending, on_slot), change_seq))


def _told(slots: Sequence[_Slot], on_slot: OnSlot | None) -> Iterator[_Slot]:
    for number, slot in enumerate(slots):
        yield slot
        if on_slot is not None:
            on_slot(number + 1, len(slots))


def _begun_at(slots: duckdb.DuckDBPyRelation) -> pa.Table:
    """When each incarnation of a topic was first landed."""
    topic_id = "regexp_extract(chain, '/id=([^/]+)/', 1) as topic_id"
    return slots.aggregate(f"{topic_id}, min(topic_begun_at) as begun_at").to_arrow_table()


def quarantined_bars(
    storage: Storage,
    session: duckdb.DuckDBPyConnection,
    slots: duckdb.DuckDBPyRelation,
    stored: duckdb.DuckDBPyRelation | None,
    change_seq: int,
) -> pa.RecordBatchReader:
    """The quarantined rows of the slots that `stored` (`int_quarantined_bar`, None for a full refresh) does not hold yet.

    A slot that names a quarantine file has one such row at least, so the newest one that is held says which were read.
    """
    seen = "0" if stored is None else "(select coalesce(max(slot_seq), 0) from stored)"
    pending = session.sql(
        f"select slot_seq, quarantine_key from slots where quarantine_key is not null and slot_seq > {seen} order by slot_seq"
    ).fetchall()
    return pa.RecordBatchReader.from_batches(QUARANTINED_SCHEMA, _quarantined(storage, pending, change_seq))


def _quarantined(storage: Storage, slots: Iterable[tuple[int, str]], change_seq: int) -> Iterator[pa.RecordBatch]:
    for slot_seq, key in slots:
        bars = quarantined_rows(storage, key)
        added = {
            "broken_rules": bars["reasons"],
            "slot_seq": pa.repeat(slot_seq, bars.num_rows),
            "change_seq": pa.repeat(change_seq, bars.num_rows),
        }
        columns = {name: added[name] if name in added else bars[name] for name in QUARANTINED_SCHEMA.names}
        yield from pa.table(columns).cast(QUARANTINED_SCHEMA).to_batches()


def _batches(storage: Storage, slots: Iterable[dict[str, Any]], begun_at: pa.Table, change_seq: int) -> Iterator[pa.RecordBatch]:
    reader = SlotReader(storage)
    for slot in slots:
        bars = reader.read(Chain.of_path(slot["chain"]), slot["position"], slot["next_offset"])
        if slot["quarantine_key"] is not None:
            rejected = quarantined_offsets(storage, slot["quarantine_key"])
            bars = bars.filter(pc.invert(pc.is_in(bars["offset"], value_set=rejected)))
        rows = bars.num_rows
        added = {
            "topic_begun_at": pa.repeat(pa.scalar(slot["topic_begun_at"], _TIME), rows),
            "origin_begun_at": _origin_begun_at(bars["origin_topic_id"], begun_at),
            "slot_seq": pa.repeat(slot["slot_seq"], rows),
            "change_seq": pa.repeat(change_seq, rows),
        }
        columns = {name: bars[name] for name in LANDED_SCHEMA.names}
        yield from pa.table({**columns, **added}, schema=STAGED_SCHEMA).to_batches()


def _origin_begun_at(topic_ids: pa.ChunkedArray, begun_at: pa.Table) -> pa.ChunkedArray:
    """When each of the incarnations was first landed; one that this lake does not know is older than all."""
    known = begun_at["begun_at"].cast(_TIME).take(pc.index_in(topic_ids, begun_at["topic_id"].combine_chunks()))
    return pc.if_else(pc.is_valid(topic_ids), known.fill_null(_BEFORE_ALL), None)
