"""Reading a published snapshot: pin one manifest, see one state, whatever is published meanwhile."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tickhouse.storage import ObjectMissingError, Storage
from transform.snapshot.manifest import Manifest, latest_number, manifest_key


class Snapshot:
    """One published state. Its marts are tables of the same names to `query`."""

    def __init__(self, manifest: Manifest, files: Mapping[str, Sequence[Path]]) -> None:
        self.manifest = manifest
        self._files = files
        self._connection: duckdb.DuckDBPyConnection | None = None

    def query(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> pa.Table:
        """The answer to `sql` over the snapshot's marts, with bound parameters; times are UTC."""
        return self._open().execute(sql, parameters).to_arrow_table()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = duckdb.connect(config={"threads": 1})
            self._connection.execute("set TimeZone = 'UTC'; set parquet_metadata_cache = true")
            for mart, paths in self._files.items():
                self._connection.read_parquet([str(path) for path in paths]).create_view(mart)
        return self._connection


class SnapshotReader:
    """Finds the newest snapshot and keeps it in place while it is read. Safe to use from many threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._newest: int | None = None

    @contextmanager
    def pin(self) -> Iterator[Snapshot | None]:
        """The newest snapshot, or None when nothing has been published yet.

        Until the block ends, retention leaves the snapshot's files alone: it takes a manifest away
        only under an exclusive lock, and this holds a shared one. Of a remote lake, local copies are read.
        """
        descriptor, manifest = self._lock_newest()
        if manifest is None:
            yield None
            return
        snapshot = None
        try:
            files = {
                name: [self._storage.local_path(file.key) for file in mart.files] for name, mart in manifest.marts.items()
            }
            snapshot = Snapshot(manifest, files)
            yield snapshot
        finally:
            if snapshot is not None:
                snapshot.close()
            os.close(descriptor)

    def _lock_newest(self) -> tuple[int, Manifest | None]:
        while True:
            self._newest = latest_number(self._storage, self._newest)
            if self._newest is None:
                return -1, None
            try:
                path = self._storage.local_path(manifest_key(self._newest))
                descriptor = os.open(path, os.O_RDONLY)
            except (ObjectMissingError, FileNotFoundError):
                self._newest = None  # retention took it between the look and the lock: a newer one exists
                continue
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if path.exists():
                return descriptor, Manifest.model_validate_json(path.read_bytes())
            os.close(descriptor)
            self._newest = None
