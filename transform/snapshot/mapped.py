"""Published bars as memory-mapped columns, with an index of where each series begins: what is read most needs no SQL."""

from __future__ import annotations

import json
import math
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from tickhouse.storage import Storage
from transform.marts import FCT_INDICATOR_SCHEMA
from transform.snapshot.manifest import Manifest, PublishedFile

SERIES_KEY = ("symbol", "interval")

HOT_SCHEMA = pa.schema([field for field in FCT_INDICATOR_SCHEMA if field.name not in (*SERIES_KEY, "change_seq")])
"""The columns that the API and the pages read of a bar, but for those that are the same in all of a series."""

_KEYS = pa.schema([FCT_INDICATOR_SCHEMA.field(name) for name in (*SERIES_KEY, "derived_from")])
_INDEX = b"series"
_BATCH_ROWS = 65_536
_SECONDS_WITHOUT = 30.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Span:
    """Where a series is in a file: from row `begin` on, before row `end`; `derived` of its bars were derived from finer ones."""

    begin: int
    end: int
    derived: int


@dataclass(frozen=True)
class MappedFile:
    """The rows of one published file in the columns of `HOT_SCHEMA`, and where in it each symbol's intervals are."""

    rows: pa.Table
    series: Mapping[str, Mapping[str, Span]]


class CopyError(Exception):
    """No copy of a published file can be made: the disk is full, or not to be written to, or the file is damaged."""


class MappedFiles:
    """Published files of bars as memory-mapped copies in a folder; each is made when it is first asked for. Safe to share.

    Several processes may share the folder. A copy takes some 230 bytes a bar, uncompressed: the system's page cache holds what
    is read of it, and gives it back when memory is short. Making one takes 50 MB of memory; one is made at a time.
    """

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder
        self._opened: dict[str, MappedFile] = {}
        self._making = Lock()
        self._again_at = -math.inf

    def open(self, file: PublishedFile) -> MappedFile:
        """The file's copy. Raises CopyError, for half a minute without another try, and what `Storage.local_path` raises."""
        if (mapped := self._opened.get(file.key)) is not None:
            return mapped
        with self._making:
            if file.key not in self._opened:
                path = self._path(file.key)
                try:
                    self._opened[file.key] = _read_copy(path)
                except (OSError, pa.ArrowInvalid):  # not made yet, or cut off by a power failure
                    self._opened[file.key] = self._make(file.key, path)
            return self._opened[file.key]

    def keep_only(self, manifest: Manifest) -> None:
        """Remove the copies of files that this snapshot does not name. Whoever has one mapped may go on reading it."""
        named = {file.key for mart in manifest.marts.values() for file in mart.files}
        with self._making:
            self._opened = {key: mapped for key, mapped in self._opened.items() if key in named}
            kept = {self._path(key).name for key in named}
            for path in self._folder.glob("*.arrow"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _make(self, key: str, path: Path) -> MappedFile:
        if time.monotonic() < self._again_at:
            raise CopyError("no copy could be made a moment ago")
        try:
            return _write_copy(self._storage.local_path(key), path)
        except CopyError as error:
            self._again_at = time.monotonic() + _SECONDS_WITHOUT
            _log.warning("reading without memory-mapped copies, which is slower", reason=str(error))
            raise

    def _path(self, key: str) -> Path:
        return self._folder / f"{key.replace('/', '-')}.arrow"


def _read_copy(path: Path) -> MappedFile:
    rows = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    series: dict[str, dict[str, Span]] = {}
    for symbol, interval, *span in json.loads(rows.schema.metadata[_INDEX]):
        series.setdefault(symbol, {})[interval] = Span(*span)
    return MappedFile(rows, series)


def _write_copy(published: Path, path: Path) -> MappedFile:
    """Write it beside its place and move it there, so that nobody sees half of it."""
    temporary = path.with_suffix(f".{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetFile(published) as file, temporary.open("xb") as sink:
            schema = HOT_SCHEMA.with_metadata({_INDEX: json.dumps(_series(file)).encode()})
            columns = [name for name in HOT_SCHEMA.names if name in file.schema_arrow.names]
            with pa.ipc.new_file(sink, schema) as writer:
                for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
                    writer.write_table(_in_schema(pa.Table.from_batches([batch]), schema))
            sink.flush()
            os.fsync(sink.fileno())
        mapped = _read_copy(temporary)
        temporary.rename(path)
        return mapped
    except (OSError, pa.ArrowException) as error:
        raise CopyError(f"no copy of {published} can be made at {path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _series(file: pq.ParquetFile) -> list[tuple[str, str, int, int, int]]:
    """(symbol, interval, begin, end, derived) of each series, in the order of rows: those of one are beside each other."""
    keys = _in_schema(file.read([*SERIES_KEY, "derived_from"], use_threads=False), _KEYS).combine_chunks()
    if not keys.num_rows:
        return []
    codes = [keys[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in SERIES_KEY]
    begins = np.append(0, 1 + np.flatnonzero(np.any([np.diff(code) != 0 for code in codes], axis=0)))
    derived = np.add.reduceat(keys["derived_from"].is_valid().to_numpy().astype(np.int64), begins)
    names = (keys[name].take(begins).to_pylist() for name in SERIES_KEY)
    return list(zip(*names, begins.tolist(), [*begins[1:].tolist(), keys.num_rows], derived.tolist(), strict=True))


def _in_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """With nulls in columns that the version which published the rows did not have."""
    missing = {field.name: pa.nulls(rows.num_rows, field.type) for field in schema if field.name not in rows.column_names}
    return pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **missing}).select(schema.names).cast(schema)
