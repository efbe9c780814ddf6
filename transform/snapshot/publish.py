"""Publishing: marts as immutable Parquet files, then a manifest put if absent as the next of the chain."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickhouse.storage import Storage
from transform.snapshot.content import content_hash
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, PublishedFile, PublishedMart, data_folder, manifest_key

ROW_GROUP_ROWS = 10_000


class PublishConflictError(RuntimeError):
    """Another publisher took the next place in the chain of manifests; publish again."""


@dataclass(frozen=True)
class NewMart:
    """A mart that changed: the files that it keeps, and the rows of each cell that is written anew, one cell at a time."""

    cells: Iterable[tuple[Cell, pa.Table]]
    kept: tuple[PublishedFile, ...] = ()
    cuts: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    max_change_seq: int = 0


@dataclass(frozen=True)
class Publication:
    """What one build has to publish on top of `parent`; `marts` holds those that changed, the rest stay as they were."""

    parent: Manifest | None
    build_seq: int
    build_id: str | None
    watermark: Mapping[str, int]
    balance: Balance
    latest_produced_at: datetime | None
    marts: Mapping[str, NewMart]


def publish(storage: Storage, publication: Publication, on_rows: Callable[[int], object] | None = None) -> Manifest:
    """Write the marts' new files, then the manifest that makes them visible, all at once.

    `on_rows` is told how many rows each new file has.

    Killed at any point before the manifest is put, the previous snapshot is untouched, and what it wrote goes when the
    same number is published. Memory is bounded by a cell. Raises PublishConflictError when another publisher was first.
    """
    parent = publication.parent
    number = 0 if parent is None else parent.number + 1
    token = uuid.uuid4().hex[:8]
    marts = {} if parent is None else dict(parent.marts)
    for name, mart in publication.marts.items():
        begins = f"{data_folder(name)}/{number:020d}-{token}"
        written = []
        for place, (cell, rows) in enumerate(mart.cells):
            written.append(_write_file(storage, f"{begins}-{place:04d}.parquet", cell, rows))
            if on_rows is not None:
                on_rows(rows.num_rows)
        files = tuple(sorted((*mart.kept, *written), key=lambda file: (file.era, file.symbols_from)))
        total = sum(file.rows for file in files)
        marts[name] = PublishedMart(rows=total, max_change_seq=mart.max_change_seq, files=files, cuts=dict(mart.cuts))
    manifest = Manifest(
        number=number,
        parent=None if parent is None else parent.number,
        build_seq=publication.build_seq,
        build_id=publication.build_id,
        published_at=datetime.now(UTC),
        latest_produced_at=publication.latest_produced_at,
        watermark=dict(publication.watermark),
        balance=publication.balance,
        marts=marts,
    )
    is_first = storage.put_if_absent(manifest_key(number), manifest.model_dump_json().encode())
    _remove_files(storage, number, marts, token, own=not is_first)
    if not is_first:
        raise PublishConflictError(f"snapshot {number} was published by another process meanwhile; publish again")
    return manifest


def holds(mart: PublishedMart, table: pa.Table) -> bool:
    """Whether the mart was published with exactly these rows."""
    return (mart.rows, mart.content) == (table.num_rows, content_hash(table))


def _write_file(storage: Storage, key: str, cell: Cell, table: pa.Table) -> PublishedFile:
    data = _encode(table)
    storage.put_if_absent(key, data)
    symbols = pc.min_max(table["symbol"]).as_py() if "symbol" in table.column_names else {"min": None, "max": None}
    return PublishedFile(
        key=key,
        rows=table.num_rows,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        content=content_hash(table),
        first_symbol=symbols["min"],
        last_symbol=symbols["max"],
        era=cell.era,
        symbols_from=cell.symbols_from,
    )


def _encode(table: pa.Table) -> bytes:
    """Numbers hardly repeat: trying to code them by a dictionary takes three times as long, and more space."""
    sink = io.BytesIO()
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(table, sink, compression="lz4", row_group_size=ROW_GROUP_ROWS, use_dictionary=texts, write_page_checksum=True)
    return sink.getvalue()


def _remove_files(storage: Storage, number: int, marts: Iterable[str], token: str, *, own: bool) -> None:
    """Of the files written for snapshot `number`: its publisher's own, or those of others, killed or slower, that none names."""
    for name in marts:
        for file in _names(storage, name, number):
            if (f"-{token}-" in file) == own:
                storage.delete(f"{data_folder(name)}/{file}")


def _names(storage: Storage, mart: str, number: int) -> Iterator[str]:
    begins = f"{number:020d}-"
    return takewhile(lambda file: file.startswith(begins), storage.list_after(data_folder(mart), begins))
