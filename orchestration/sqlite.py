"""Dagster's records in SQLite, made for a run a second: three files, connections that stay open, a batch in one transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as db
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite import consolidated_sqlite_event_log as dagsters_own
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sql import AlembicVersion, check_alembic_revision, get_alembic_config, stamp_alembic_rev
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Engine
from watchdog.events import FileSystemEvent, PatternMatchingEventHandler
from watchdog.observers import Observer

_OF_ONE_ASSET = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION}
"""Of these a batch is of one asset, as Dagster's storage on Postgres takes it to be too."""


class Connections:
    """Connections to one SQLite file, kept for the next who asks; a forked process makes its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine: Engine | None = None
        self._process: int | None = None
        self._making = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._here().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """A connection for what is no transaction."""
        with self._here().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def close(self) -> None:
        if self._engine is not None and self._process == os.getpid():
            self._engine.dispose()

    def _here(self) -> Engine:
        with self._making:
            if self._engine is None or self._process != os.getpid():
                # What a parent had open is never closed here: SQLite's locks would go with it.
                self._engine, self._process = _engine(self._url), os.getpid()
            return self._engine


def _engine(url: str) -> Engine:
    engine = db.create_engine(url, max_overflow=-1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    # A commit need not outlive a power cut: then the last seconds of history are gone, and the file is whole.
    db.event.listen(engine, "connect", lambda connection, _record: connection.execute("pragma synchronous = normal"))
    return engine


class RunStorage(SqliteRunStorage):
    """Runs, in `history/runs.db`."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections = Connections(conn_string)
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._connections.transaction() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._connections.close()


class ScheduleStorage(SqliteScheduleStorage):
    """Sensors' and schedules' ticks and cursors, in `schedules/schedules.db`."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections = Connections(conn_string)
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> ScheduleStorage:
        made = SqliteScheduleStorage.from_local(base_dir, inst_data)
        return cls(made._conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._connections.transaction() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._connections.close()


class EventLog(dagsters_own.ConsolidatedSqliteEventLogStorage):
    """Every run's events, in `history/event_log.db`: an event, or a batch of them, is one transaction.

    Dagster's own has a file for each run beside an index, opens each for each event, and stores a batch event by event.
    """

    _obs: Any

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections = Connections(f"sqlite:///{os.path.abspath(base_dir)}/event_log.db")
        self._joined = threading.local()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    def alembic_version(self) -> AlembicVersion:
        with self._connect() as connection:
            return check_alembic_revision(get_alembic_config(dagsters_own.__file__), connection)

    def store_event(self, event: EventLogEntry) -> None:
        with self._one_transaction():
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        with self._one_transaction() as connection:
            if {event.dagster_event_type for event in events} <= _OF_ONE_ASSET:
                insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
                ids = connection.scalars(insert, [self._event_to_row(event) for event in events]).all()
                self._store_asset_event_tags(connection, events, ids)
                self._store_asset_event(connection, events[-1], ids[-1])
            else:
                for event in events:
                    super().store_event(event)

    def give_back(self) -> None:
        """Return the room of what was deleted to the disk."""
        with self._connections.bare() as connection:
            file = connection.connection.driver_connection
            assert file is not None
            file.executescript("pragma incremental_vacuum")  # which frees a page a step: `execute` would take the first alone

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., Any]) -> None:
        if self._obs is None:
            self._obs = Observer()
            self._obs.start()
            self._obs.schedule(_Writes(self), self._base_dir)
        self._watchers[run_id][callback] = cursor

    def dispose(self) -> None:
        super().dispose()
        self._connections.close()

    def _init_db(self) -> None:
        os.makedirs(self._base_dir, exist_ok=True)
        with self._connections.bare() as connection:  # what decides how a file gives room back is settled before its first table
            connection.exec_driver_sql("pragma auto_vacuum = incremental")
            connection.exec_driver_sql("vacuum")
        super()._init_db()
        with self._connect() as connection:  # Dagster's own stamps the file in a transaction that it does not commit
            stamp_alembic_rev(get_alembic_config(dagsters_own.__file__), connection)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        if (joined := getattr(self._joined, "connection", None)) is not None:
            yield joined
            return
        with self._connections.transaction() as connection:
            yield connection

    @contextmanager
    def _one_transaction(self) -> Iterator[Connection]:
        with self._connect() as connection:
            self._joined.connection = connection
            try:
                yield connection
            finally:
                self._joined.connection = None

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:
        return True  # they are in every file this class has made

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        if event.dagster_event is None or event.dagster_event.asset_key is None:
            return
        if values := self._get_asset_entry_values(event, event_id, has_asset_key_index_cols=True):
            row = sqlite.insert(AssetKeyTable).values(asset_key=event.dagster_event.asset_key.to_string(), **values)
            conn.execute(row.on_conflict_do_update(index_elements=[AssetKeyTable.c.asset_key], set_=values))


class _Writes(PatternMatchingEventHandler):
    """Tells the log of what another process wrote: that is in the file's write-ahead log long before it is in the file."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(patterns=[f"{log.get_db_path()}*"])
        self._log = log

    def on_modified(self, event: FileSystemEvent) -> None:
        self._log.on_modified()


class Storage(DagsterSqliteStorage):
    """The three together, which `storage: custom:` in dagster.yaml names."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        history = os.path.join(base_dir, "history")
        self.base_dir = base_dir
        self._run_storage = RunStorage.from_local(history)
        self._event_log_storage = EventLog(history)  # type: ignore[assignment]
        self._schedule_storage = ScheduleStorage.from_local(os.path.join(base_dir, "schedules"))
        self._inst_data = inst_data
        super(DagsterSqliteStorage, self).__init__()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Storage:
        return cls.from_local(inst_data=inst_data, **config_value)
