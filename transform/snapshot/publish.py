"""Publishing: marts as immutable Parquet files, then a manifest put if absent as the next of the chain."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickhouse.storage import Storage
from transform.snapshot.manifest import (
    Balance,
    Manifest,
    PublishedFile,
    PublishedMart,
    latest_manifest,
    manifest_key,
)

ROW_GROUP_ROWS = 10_000


class PublishConflictError(RuntimeError):
    """Another publisher took the next place in the chain of manifests; publish again."""


@dataclass(frozen=True)
class Publication:
    """What one build has to publish; `tables` holds the marts that may have changed, the rest stay as they were."""

    build_seq: int
    watermark: Mapping[str, int]
    balance: Balance
    latest_produced_at: datetime | None
    tables: Mapping[str, pa.Table]


def publish(storage: Storage, publication: Publication) -> Manifest:
    """Write the marts' files, then the manifest that makes them visible, all at once.

    Killed at any point before the manifest is put, the previous snapshot is untouched. Raises
    PublishConflictError when another publisher was first.
    """
    parent = latest_manifest(storage)
    number = 0 if parent is None else parent.number + 1
    marts = {} if parent is None else dict(parent.marts)
    for name, table in publication.tables.items():
        marts[name] = _write_mart(storage, number, name, table)
    manifest = Manifest(
        number=number,
        parent=None if parent is None else parent.number,
        build_seq=publication.build_seq,
        published_at=datetime.now(UTC),
        latest_produced_at=publication.latest_produced_at,
        watermark=dict(publication.watermark),
        balance=publication.balance,
        marts=marts,
    )
    if not storage.put_if_absent(manifest_key(number), manifest.model_dump_json().encode()):
        raise PublishConflictError(f"snapshot {number} was published by another process meanwhile; publish again")
    return manifest


def holds(mart: PublishedMart, table: pa.Table) -> bool:
    """Whether the mart was published with exactly these rows in this order; another version of Arrow may say no."""
    return [file.sha256 for file in mart.files] == [hashlib.sha256(_encode(table)).hexdigest()]


def _encode(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="lz4", row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()


def _write_mart(storage: Storage, number: int, name: str, table: pa.Table) -> PublishedMart:
    data = _encode(table)
    key = f"published/data/{number:020d}-{uuid.uuid4().hex[:8]}/{name}.parquet"
    storage.put_if_absent(key, data)
    file = PublishedFile(key=key, rows=table.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    highest = pc.max(table["change_seq"]).as_py() if "change_seq" in table.column_names else None
    return PublishedMart(rows=table.num_rows, max_change_seq=highest or 0, files=(file,))
