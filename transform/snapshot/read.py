"""Reading a published snapshot: pin one manifest, see one state, whatever is published meanwhile."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from tickhouse.storage import ObjectMissingError, Storage, StorageRefusedError
from transform.marts import FCT_INDICATOR
from transform.snapshot.as_of import SnapshotGoneError, UnknownSnapshotError, number_as_of
from transform.snapshot.database import SnapshotDatabase
from transform.snapshot.manifest import MANIFESTS, Manifest, NewerSchemaError, latest_number, manifest_key, parse_manifest
from transform.snapshot.mapped import HOT_SCHEMA, CopyError, MappedFile, MappedFiles
from transform.snapshot.series import Series, count_intervals, find_series

__all__ = ["Series", "Snapshot", "SnapshotGoneError", "SnapshotReader", "SnapshotUnavailableError", "UnknownSnapshotError"]

_OPEN_SNAPSHOTS = 4
_STREAMED_ROWS = 100_000

_SERIES = f"""
select {", ".join(HOT_SCHEMA.names)}
from fct_indicator
where symbol = $symbol and interval = $interval
    and ($start::timestamptz is null or ts >= $start) and ($until::timestamptz is null or ts < $until)
order by ts
"""
_INTERVALS = "select interval, count(*), count(derived_from) from fct_indicator where symbol = $symbol group by interval"


class SnapshotUnavailableError(RuntimeError):
    """The lake, or a published file in it, cannot be read."""


@dataclass(frozen=True)
class _Opened:
    manifest: Manifest
    database: SnapshotDatabase


class Snapshot:
    """One published state, for one thread. Its marts are tables of the same names to `query`."""

    def __init__(self, opened: _Opened, mapped: MappedFiles) -> None:
        self.manifest = opened.manifest
        self._opened = opened
        self._mapped = mapped
        self._connection = opened.database.cursor()

    def query(
        self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None, *, symbol: str | None = None
    ) -> pa.Table:
        """The answer to `sql` over the snapshot's marts, with exactly the parameters it names bound; times are UTC.

        With `symbol` the tables are of the files that may hold its rows. Raises SnapshotUnavailableError when a published file
        cannot be read.
        """
        with self._explained():
            return self._ask(sql, parameters, symbol).to_arrow_table()

    def stream(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> Iterator[pa.RecordBatch]:
        """The same, some 100,000 rows at a time, for what does not fit into memory. Ask nothing else meanwhile."""
        with self._explained():
            yield from self._ask(sql, parameters, None).to_arrow_reader(_STREAMED_ROWS)

    def series(self, symbol: str, interval: str, start: datetime | None = None, until: datetime | None = None) -> Series:
        """The bars of `fct_indicator` of one symbol and interval, from `start` on, before `until` (UTC), in the order of ts.

        They are read from memory-mapped copies; by DuckDB where none can be made. Raises SnapshotUnavailableError.
        """
        with self._explained():
            if (files := self._copies(symbol)) is not None:
                return find_series(files, symbol, interval, start, until)
            parameters = {"symbol": symbol, "interval": interval, "start": start, "until": until}
            return Series(symbol, interval, [self._ask(_SERIES, parameters, symbol).to_arrow_table().cast(HOT_SCHEMA)])

    def intervals(self, symbol: str) -> dict[str, tuple[int, int]]:
        """By interval how many bars of the symbol there are, and how many of these were derived.

        Raises SnapshotUnavailableError.
        """
        with self._explained():
            if (files := self._copies(symbol)) is not None:
                return count_intervals(files, symbol)
            counted = self._ask(_INTERVALS, {"symbol": symbol}, symbol).fetchall()
            return {interval: (bars, derived) for interval, bars, derived in counted}

    def close(self) -> None:
        """End its queries."""
        self._connection.close()

    def _ask(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None, symbol: str | None) -> duckdb.DuckDBPyRelation:
        self._connection.execute(f"use {self._opened.database.schema_for(symbol)}")
        return self._connection.sql(sql, params=parameters)

    def _copies(self, symbol: str) -> list[MappedFile] | None:
        """Those of the files that may hold bars of the symbol, in the order of eras; None where no copy can be made."""
        mart = self.manifest.marts.get(FCT_INDICATOR)
        try:
            return [self._mapped.open(file) for file in (mart.files if mart else ()) if file.may_hold(symbol)]
        except CopyError:
            return None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.IOException, StorageRefusedError, ObjectMissingError, pa.ArrowException) as error:
            raise SnapshotUnavailableError(f"snapshot {self.manifest.number} cannot be read: {error}") from error


class SnapshotReader:
    """Finds snapshots and keeps them in place while they are read. Safe to use from many threads.

    `cache` is a folder of this machine for memory-mapped copies of what is read; without one it is a temporary one.
    """

    def __init__(self, storage: Storage, cache: Path | None = None) -> None:
        self._storage = storage
        if cache is None:
            self._temporary = TemporaryDirectory(prefix="tickhouse-")
            cache = Path(self._temporary.name)
        lake = hashlib.sha256(storage.uri(MANIFESTS).encode()).hexdigest()[:16]
        self._mapped = MappedFiles(storage, cache / "mapped" / lake)
        self._newest: int | None = None
        self._opened: OrderedDict[bytes, _Opened] = OrderedDict()
        self._opening = Lock()

    @contextmanager
    def pin(self, as_of: int | datetime | None = None) -> Iterator[Snapshot | None]:
        """The newest snapshot, or None when nothing has been published yet; with `as_of` that number's, or that time's (UTC).

        Until the block ends, retention leaves the snapshot's files alone: it takes a manifest away
        only under an exclusive lock, and this holds a shared one. Of a remote lake, local copies are read.
        Raises SnapshotUnavailableError when the lake or a published file cannot be read, UnknownSnapshotError and
        SnapshotGoneError when there is no snapshot as of then.
        """
        descriptor, snapshot = -1, None
        try:
            try:
                descriptor, encoded = self._lock_newest() if as_of is None else self._lock_as_of(as_of)
                snapshot = None if encoded is None else Snapshot(self._open(encoded, is_newest=as_of is None), self._mapped)
            except (StorageRefusedError, ObjectMissingError, OSError, ValueError, NewerSchemaError, duckdb.Error) as error:
                raise SnapshotUnavailableError(f"cannot read the lake at {self._storage.uri('published')}: {error}") from error
            yield snapshot
        finally:
            if snapshot is not None:
                snapshot.close()
            if descriptor >= 0:
                os.close(descriptor)

    def _lock_newest(self) -> tuple[int, bytes | None]:
        """A descriptor that holds a shared lock on the newest manifest, and the manifest; (-1, None) if there is none."""
        known = self._newest
        while (number := latest_number(self._storage, known)) is not None:
            if (locked := self._lock(number)) is not None:
                self._newest = number
                return locked
            known = None  # retention took it between the look and the lock: a newer one exists
        return -1, None

    def _lock_as_of(self, as_of: int | datetime) -> tuple[int, bytes]:
        while True:
            try:
                locked = self._lock(number_as_of(self._storage, as_of))
            except ObjectMissingError:
                continue  # retention took one of those that were looked at
            if locked is not None:
                return locked

    def _lock(self, number: int) -> tuple[int, bytes] | None:
        """A descriptor that holds a shared lock on that manifest, and the manifest; None if it is gone."""
        try:
            path = self._storage.local_path(manifest_key(number))
            descriptor = os.open(path, os.O_RDONLY)
        except (ObjectMissingError, FileNotFoundError):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if path.exists():
                return descriptor, path.read_bytes()
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _open(self, encoded: bytes, *, is_newest: bool) -> _Opened:
        """The snapshot of this manifest, opened once."""
        with self._opening:
            opened = self._opened.get(encoded)
            if opened is None:
                manifest = parse_manifest(encoded)
                opened = self._opened[encoded] = _Opened(manifest, SnapshotDatabase(self._storage, manifest))
                if is_newest:
                    self._mapped.keep_only(manifest)
            self._opened.move_to_end(encoded)
            while len(self._opened) > _OPEN_SNAPSHOTS:
                self._opened.popitem(last=False)
            return opened
