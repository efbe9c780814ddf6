"""Reading registered slots for the staging model: their bars less their quarantined rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.slot import Chain
from ingestion.chain.walk import SlotReader
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.storage import Storage
from transform.validation.quarantine import quarantined_offsets

STAGED_SCHEMA = pa.schema(
    [
        *(field.remove_metadata().with_nullable(True) for field in LANDED_SCHEMA),
        pa.field("topic_begun_at", pa.timestamp("us", tz="UTC")),
        pa.field("slot_seq", pa.int64()),
        pa.field("change_seq", pa.int64()),
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
    return pa.RecordBatchReader.from_batches(STAGED_SCHEMA, _batches(storage, pending.to_pylist(), change_seq))


def _batches(storage: Storage, slots: list[dict[str, Any]], change_seq: int) -> Iterator[pa.RecordBatch]:
    reader = SlotReader(storage)
    for slot in slots:
        bars = reader.read(Chain.of_path(slot["chain"]), slot["position"], slot["next_offset"])
        if slot["quarantine_key"] is not None:
            rejected = quarantined_offsets(storage, slot["quarantine_key"])
            bars = bars.filter(pc.invert(pc.is_in(bars["offset"], value_set=rejected)))
        constants = (slot["topic_begun_at"], slot["slot_seq"], change_seq)
        fields = [STAGED_SCHEMA.field(name) for name in ("topic_begun_at", "slot_seq", "change_seq")]
        scalars = [pa.scalar(value, field.type) for value, field in zip(constants, fields, strict=True)]
        repeated = [pa.repeat(scalar, bars.num_rows) for scalar in scalars]
        columns = [bars[name] for name in LANDED_SCHEMA.names] + repeated
        yield from pa.table(columns, schema=STAGED_SCHEMA).to_batches()
