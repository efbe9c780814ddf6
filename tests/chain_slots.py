"""For tests of chains: slots whose bars are told by their offsets alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from ingestion.chain.put import put_slot
from ingestion.chain.slot import Chain, SlotFooter
from ingestion.chain.walk import SlotReader, walk
from tickhouse.bar import LANDED_SCHEMA, ORIGIN_SCHEMA, SCHEMA_VERSION
from tickhouse.storage import Storage

CHAIN = Chain("bars", "I_s7-CoQ", 2)
BEGUN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def bars_at(offsets: Iterable[int], chain: Chain = CHAIN) -> pa.Table:
    """A bar for each offset, in `LANDED_SCHEMA`; what it holds follows from the offset. Every fifth lacks its prices."""
    at = list(offsets)
    prices = [None if offset % 5 == 4 else 100 + offset / 100 for offset in at]
    columns: dict[str, list[object]] = {
        "symbol": [("AAPL", "MSFT", "GOOG")[offset % 3] for offset in at],
        "interval": ["1m"] * len(at),
        "ts": [datetime(2024, 1, 2, tzinfo=UTC) + timedelta(minutes=offset) for offset in at],
        **dict.fromkeys(("open", "high", "low", "close"), prices),
        "adj_close": [None] * len(at),
        "volume": [float(offset * 37 % 101) for offset in at],
        "source": ["test"] * len(at),
        "produced_at": [BEGUN_AT + timedelta(microseconds=offset) for offset in at],
        "topic": [chain.topic] * len(at),
        "topic_id": [chain.topic_id] * len(at),
        "partition": [chain.partition] * len(at),
        "offset": at,
        "kafka_timestamp": [BEGUN_AT] * len(at),
    }
    origins = {name: [None] * len(at) for name in ORIGIN_SCHEMA.names}
    return pa.table(columns | origins, schema=LANDED_SCHEMA)


def footer_of(position: int, next_offset: int, rows: int, writer: str = "me", dead_letter_key: str | None = None) -> SlotFooter:
    dead_letters = 0 if dead_letter_key is None else 1
    months = ("2024-01",) if rows else ()
    return SlotFooter(position, next_offset, rows, dead_letters, dead_letter_key, writer, SCHEMA_VERSION, None, None, months)


def land(storage: Storage, position: int, next_offset: int, writer: str = "me", chain: Chain = CHAIN) -> SlotFooter:
    """Put a slot with a bar at each of its offsets; the footer that stands there afterwards."""
    rows = bars_at(range(position, next_offset), chain)
    return put_slot(storage, chain, rows, footer_of(position, next_offset, rows.num_rows, writer))


def walked(storage: Storage, position: int | None = None, chain: Chain = CHAIN) -> list[SlotFooter]:
    """The footers a walk yields."""
    return [slot.footer for slot in walk(storage, chain, position)]


def read_all(storage: Storage, chain: Chain = CHAIN) -> pa.Table:
    """Every bar a walk reaches."""
    reader = SlotReader(storage)
    tables = [reader.read(chain, one.position, one.next_offset).cast(LANDED_SCHEMA) for one in walked(storage, None, chain)]
    return pa.concat_tables([LANDED_SCHEMA.empty_table(), *tables])
