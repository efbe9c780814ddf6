"""Dead letters: messages that are no bars, byte for byte, with the stage and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.chain.seal import write_sealed
from ingestion.chain.slot import DEAD_LETTER, Chain, SlotFooter, slot_name
from ingestion.decode import Rejected
from ingestion.messages import Messages
from tickhouse.storage import Storage


def _field(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


_HEADER = pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])

DEAD_LETTER_SCHEMA = pa.schema(
    [
        _field("topic", pa.string(), "Kafka topic"),
        _field("topic_id", pa.string(), "Kafka's id of that incarnation of the topic"),
        _field("partition", pa.int32(), "Kafka partition"),
        _field("offset", pa.int64(), "offset in the partition"),
        _field("kafka_timestamp", pa.timestamp("ms", tz="UTC"), "the message's Kafka timestamp, UTC"),
        _field("key", pa.binary(), "the message's key as it came", nullable=True),
        _field("headers", pa.list_(_HEADER), "the message's headers as they came, in order"),
        _field("value", pa.binary(), "the message's value as it came; null where it had none", nullable=True),
        _field("stage", pa.string(), "where it fell out: origin, version, json, fields, values"),
        _field("reason", pa.string(), "why, for people"),
    ]
)


def dead_letter_table(chain: Chain, messages: Messages, rejected: Sequence[Rejected]) -> pa.Table:
    """The rejected ones among a batch's messages, in DEAD_LETTER_SCHEMA and the order of their offsets."""
    places = [one.index for one in rejected]
    headers = [[{"name": name, "value": value} for name, value in messages.headers(place) or ()] for place in places]
    columns = [
        [chain.topic] * len(places),
        [chain.topic_id] * len(places),
        [chain.partition] * len(places),
        messages.offsets[places],
        messages.timestamps[places],
        [messages.key(place) for place in places],
        headers,
        [messages.value(place) for place in places],
        [one.stage for one in rejected],
        [one.reason for one in rejected],
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, DEAD_LETTER_SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=DEAD_LETTER_SCHEMA)


def write_dead_letters(storage: Storage, chain: Chain, position: int, letters: pa.Table, name: str) -> str:
    """Keep the letters in a file of the slot at `position`; `name` tells its tries apart. Returns the file's key.

    They count only once a slot whose footer names the file has won its place in the chain.
    """
    key = f"{DEAD_LETTER}/{chain.path}/{slot_name(position)}-{name}.parquet"
    storage.put_if_absent(key, write_sealed(letters, compression="zstd"))
    return key


def read_dead_letters(storage: Storage, footer: SlotFooter, columns: Sequence[str] | None = None) -> pa.Table:
    """The dead letters that count for this slot, in DEAD_LETTER_SCHEMA or its `columns`, by offset."""
    names = DEAD_LETTER_SCHEMA.names if columns is None else list(columns)
    if footer.dead_letter_key is None:
        return DEAD_LETTER_SCHEMA.empty_table().select(names)
    return pq.read_table(storage.local_path(footer.dead_letter_key), columns=names, partitioning=None)


@dataclass(frozen=True)
class LandedCount:
    """What slots hold: bars, dead letters, and how many of both together are replays. Produced = rows + dead letters."""

    rows: int = 0
    dead_letters: int = 0
    replayed: int = 0

    def plus(self, footer: SlotFooter) -> LandedCount:
        """With one slot more."""
        return LandedCount(self.rows + footer.rows, self.dead_letters + footer.dead_letters, self.replayed + footer.replayed)
