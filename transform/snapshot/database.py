"""The files of a snapshot as tables of DuckDB."""

from __future__ import annotations

from threading import Lock

import duckdb

from tickhouse.storage import Storage
from transform.marts import PUBLISHED
from transform.snapshot.manifest import Manifest, PublishedFile

_ALL = "main"


class SnapshotDatabase:
    """A database in memory whose tables are a snapshot's marts; one that was never published is empty. Safe to share.

    It is opened once a snapshot, which takes 25 ms, and holds what DuckDB has read of the files' footers.
    """

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self._storage = storage
        self._manifest = manifest
        self._schemas: dict[tuple[str, ...], str] = {}
        self._lock = Lock()
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("set global TimeZone = 'UTC'; set global parquet_metadata_cache = true")
        self._make_tables(_ALL, {name: mart.files for name, mart in manifest.marts.items()})

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of one's own, to be closed."""
        return self._connection.cursor()

    def schema_for(self, symbol: str | None) -> str:
        """The schema whose tables are of the files that may hold rows of this symbol, of all files for None.

        DuckDB asks each file's footer which rows it holds; of many files it is spared those that the manifest tells it to.
        """
        if symbol is None:
            return _ALL
        marts = self._manifest.marts
        picked = {name: tuple(file for file in mart.files if file.may_hold(symbol)) for name, mart in marts.items()}
        if all(len(files) == len(marts[name].files) for name, files in picked.items()):
            return _ALL
        keys = tuple(file.key for files in picked.values() for file in files)
        with self._lock:
            if keys not in self._schemas:
                schema = f"picked_{len(self._schemas)}"
                self._connection.execute(f"create schema {schema}")
                self._make_tables(schema, picked)
                self._schemas[keys] = schema
            return self._schemas[keys]

    def _make_tables(self, schema: str, files: dict[str, tuple[PublishedFile, ...]]) -> None:
        for name, columns in PUBLISHED.items():
            empty = self._connection.from_arrow(columns.empty_table())
            if paths := [str(self._storage.local_path(file.key)) for file in files.get(name, ())]:
                rows = _with_columns(self._connection.read_parquet(paths), empty)
                self._connection.execute(f"create view {schema}.{name} as {rows.sql_query()}")
            else:
                empty.create(f"{schema}.{name}")


def _with_columns(published: duckdb.DuckDBPyRelation, wanted: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """What was published, with nulls in columns of `wanted` that the version which published it did not have."""
    types = dict(zip(wanted.columns, wanted.types, strict=True))
    missing = [f"null::{types[name]} as {name}" for name in wanted.columns if name not in published.columns]
    return published.project(", ".join(["*", *missing])) if missing else published
