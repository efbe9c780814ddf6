"""Quarantine: the rows of a slot that failed validation, with the names of the rules they broke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.chain.seal import write_sealed
from ingestion.chain.slot import Chain, slot_name
from tickhouse.storage import Storage

AREA = "quarantine"


def quarantine_key(chain: Chain, position: int, rules: str) -> str:
    """Where the slot's failing rows go; under other rules other rows may fail, so the rules are in the name."""
    return f"{AREA}/{chain.path}/{slot_name(position)}-{rules}.parquet"


def write_quarantine(storage: Storage, key: str, rows: pa.Table, reasons: Mapping[int, Sequence[str]]) -> None:
    """Keep the failing ones of a slot's rows as landed, each with its `reasons`, which are by row number.

    The same slot and rules give the same file.
    """
    failing = sorted(reasons)
    explained = rows.take(failing).append_column("reasons", pa.array([reasons[row] for row in failing], pa.list_(pa.string())))
    storage.put_if_absent(key, write_sealed(explained, compression="zstd"))


def quarantined_rows(storage: Storage, key: str) -> pa.Table:
    """The rows in a quarantine file: a landed bar's columns and `reasons`."""
    return pq.read_table(storage.local_path(key), partitioning=None)


def quarantined_offsets(storage: Storage, key: str) -> pa.Array:
    """The Kafka offsets of the rows in a quarantine file."""
    return pq.read_table(storage.local_path(key), columns=["offset"], partitioning=None)["offset"].combine_chunks()
