"""Reading a published snapshot: pin one manifest, see one state, whatever is published meanwhile."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from tickhouse.storage import ObjectMissingError, Storage, StorageRefusedError
from transform.marts import MARTS
from transform.snapshot.manifest import Manifest, latest_number, manifest_key


class SnapshotUnavailableError(RuntimeError):
    """The lake, or a published file in it, cannot be read."""


class Snapshot:
    """One published state. Its marts are tables of the same names to `query`; one that was never published is empty."""

    def __init__(self, manifest: Manifest, connection: duckdb.DuckDBPyConnection) -> None:
        self.manifest = manifest
        self._connection = connection

    def query(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> pa.Table:
        """The answer to `sql` over the snapshot's marts, with exactly the parameters it names bound; times are UTC.

        Raises SnapshotUnavailableError when a published file cannot be read.
        """
        try:
            return self._connection.sql(sql, params=parameters).to_arrow_table()
        except duckdb.IOException as error:
            raise SnapshotUnavailableError(f"snapshot {self.manifest.number} cannot be read: {error}") from error


class SnapshotReader:
    """Finds the newest snapshot and keeps it in place while it is read. Safe to use from many threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._newest: int | None = None
        self._opened: tuple[Manifest, duckdb.DuckDBPyConnection] | None = None
        self._opening = Lock()

    @contextmanager
    def pin(self) -> Iterator[Snapshot | None]:
        """The newest snapshot, or None when nothing has been published yet.

        Until the block ends, retention leaves the snapshot's files alone: it takes a manifest away
        only under an exclusive lock, and this holds a shared one. Of a remote lake, local copies are read.
        Raises SnapshotUnavailableError when the lake or a published file cannot be read.
        """
        descriptor, connection = -1, None
        try:
            try:
                descriptor, manifest = self._lock_newest()
                connection = None if manifest is None else self._connect(manifest)
            except (StorageRefusedError, ObjectMissingError, OSError, ValueError, duckdb.Error) as error:
                raise SnapshotUnavailableError(f"cannot read the lake at {self._storage.uri('published')}: {error}") from error
            yield None if manifest is None or connection is None else Snapshot(manifest, connection)
        finally:
            if connection is not None:
                connection.close()
            if descriptor >= 0:
                os.close(descriptor)

    def _lock_newest(self) -> tuple[int, Manifest | None]:
        """A descriptor that holds a shared lock on the newest manifest, and the manifest; (-1, None) if there is none."""
        known = self._newest
        while True:
            known = latest_number(self._storage, known)
            if known is None:
                return -1, None
            try:
                path = self._storage.local_path(manifest_key(known))
                descriptor = os.open(path, os.O_RDONLY)
            except (ObjectMissingError, FileNotFoundError):
                known = None  # retention took it between the look and the lock: a newer one exists
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if path.exists():
                    self._newest = known
                    return descriptor, Manifest.model_validate_json(path.read_bytes())
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            known = None

    def _connect(self, manifest: Manifest) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the snapshot's database, which is opened once: that alone takes 25 ms."""
        with self._opening:
            if self._opened is None or self._opened[0] != manifest:
                self._opened = (manifest, self._open(manifest))
            return self._opened[1].cursor()

    def _open(self, manifest: Manifest) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"threads": 1})
        connection.execute("set global TimeZone = 'UTC'; set global parquet_metadata_cache = true")
        for name, schema in MARTS.items():
            if name in manifest.marts:
                paths = [str(self._storage.local_path(file.key)) for file in manifest.marts[name].files]
                _with_columns(connection.read_parquet(paths), connection.from_arrow(schema.empty_table())).create_view(name)
            else:
                connection.from_arrow(schema.empty_table()).create(name)
        return connection


def _with_columns(published: duckdb.DuckDBPyRelation, wanted: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """What was published, with nulls in columns of `wanted` that the version which published it did not have."""
    types = dict(zip(wanted.columns, wanted.types, strict=True))
    missing = [f"null::{types[name]} as {name}" for name in wanted.columns if name not in published.columns]
    return published.project(", ".join(["*", *missing])) if missing else published
