"""The build database: what a build registers in it before dbt runs, and what is read from it to publish."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

import dbt_project
from ingestion.chain.walk import find_chains
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.indicators import kernel
from transform.marts import EVERY_SYMBOL
from transform.months import Months
from transform.parsed_project import project_fingerprint
from transform.progress import ModelProgress, note_progress
from transform.registration import Slot, register, register_changes, slot_numbers
from transform.restaging import TABLES as RESTAGING_TABLES
from transform.restaging import restage
from transform.sessions import register_calendars
from transform.staging import OnSlot
from transform.validation.revalidation import RecordsInForce

_SEEDS = Path(dbt_project.__file__).parent / "seeds"

_TABLES = """
create schema if not exists landing;
create schema if not exists control;
create table if not exists landing.slot (
    slot_seq bigint primary key,
    build_seq bigint not null,
    chain varchar not null,
    position bigint not null,
    next_offset bigint not null,
    key varchar not null,
    quarantine_key varchar,
    topic_begun_at timestamptz not null,
    landed_rows bigint not null,
    quarantined_rows bigint not null,
    validated_at timestamptz not null,
    unique (chain, position)
);
create table if not exists control.build (
    build_seq bigint primary key,
    begun_at timestamptz not null,
    finished_at timestamptz,
    computed_indicators varchar[] not null,
    fingerprint varchar not null,
    is_full_refresh boolean not null
);
alter table control.build add column if not exists derived_intervals varchar[];
alter table control.build add column if not exists build_id varchar;
alter table control.build add column if not exists is_analytics_on boolean;
alter table control.build add column if not exists revalidations bigint;
alter table control.build add column if not exists project varchar;
drop table if exists control.alert_threshold; -- what settings said of rules before alert_override
create table if not exists control.alert_override (
    rule varchar not null, severity varchar not null, symbol varchar not null, threshold double, is_enabled boolean not null
);
"""

_NEW_BUILD = """
insert into control.build (
    build_seq, begun_at, computed_indicators, fingerprint, is_full_refresh, derived_intervals, is_analytics_on, revalidations,
    project, build_id
)
values (?, now(), ?, ?, ?, ?, ?, ?, ?, uuid()::varchar)
"""


ANEW_FROM_SHARE = 0.5
"""Where more of the staged rows than so come or go at once, every model starts anew."""


@dataclass(frozen=True)
class ReadAgain:
    """Slots that a build reads again although they were staged, and the event months whose bars it computes again."""

    slots: frozenset[Slot]
    months: Months
    on_slot: OnSlot | None = None


@dataclass(frozen=True)
class Build:
    """A build that has begun: its number, how many slots it registered, and from which model on models start anew, if any.

    `moved_rows` of slots that were staged before are others now. `is_quick` says that the dbt project is that of the build
    before: seeds and views are as they are to be.
    """

    build_seq: int
    new_slots: int
    full_refresh_from: str | None
    moved_rows: int = 0
    is_quick: bool = False


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the warehouse, in UTC. DuckDB lets one process at a time have it: hold `build_lock`."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(settings.warehouse_path))
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextmanager
def warehouse_kept_open(settings: Settings) -> Iterator[None]:
    """Within the block whoever opens the warehouse finds it open: DuckDB reads and writes its file once, not for each of them.

    Hold `build_lock`. The file is locked for other processes meanwhile.
    """
    with open_warehouse(settings):
        yield


def begin_build(
    settings: Settings, storage: Storage, watermark: Mapping[str, int] | None = None, again: ReadAgain | None = None
) -> Build:
    """Give the build its number, and register the slots validated since the last one, all in one transaction.

    `watermark` maps chains to the offsets below which slots are taken; None takes all there are.
    Derived bars and indicators start anew when the kernel, the chosen indicators, the alert rules, the split ratios, the derived
    intervals or the instruments' time zones are not those of the last build that finished: what is stored would be another's.
    Slots whose quarantine a revalidation changed since are read again, and so are those of `again`.
    """
    with open_warehouse(settings) as connection:
        connection.execute("begin")
        connection.execute(_TABLES + RESTAGING_TABLES)
        build_seq = _one(connection, "select coalesce(max(build_seq), 0) + 1 from control.build")
        fingerprint, project = _fingerprint(settings), project_fingerprint()
        register_calendars(connection, build_seq, _seed("instrument"), datetime.now(UTC).date())
        new_slots = revalidations = 0
        judged_again: set[Slot] = set()
        for chain in find_chains(storage):
            in_force = RecordsInForce(storage, chain)
            end = None if watermark is None else watermark.get(chain.path, 0)
            new_slots += register(connection, storage, chain, in_force, build_seq, end)
            register_changes(connection, chain, in_force)
            revalidations += in_force.changes
            judged_again |= {(chain.path, record.position) for record in in_force.changed}
        last = _last_build(connection)
        moved = _read_again(connection, storage, build_seq, judged_again if revalidations != last.revalidations else set(), again)
        full_refresh_from = "int_derived_bar" if last.fingerprint not in (None, fingerprint) else None
        if revalidations < last.revalidations or moved.share > ANEW_FROM_SHARE:
            # Which slots lost revalidations were of is not known; where so much moved, all is made sooner than what follows.
            full_refresh_from = "stg_bar"
        connection.execute(
            _NEW_BUILD,
            [
                build_seq,
                list(settings.analytics.computed),
                fingerprint,
                full_refresh_from is not None,
                list(settings.analytics.derived_intervals),
                settings.analytics.enabled,
                revalidations,
                project,
            ],
        )
        connection.execute("delete from control.alert_override")
        if overrides := _alert_overrides(settings):
            connection.executemany("insert into control.alert_override values (?, ?, ?, ?, ?)", overrides)
        is_quick = _is_by_the_same_project(connection, project)
        connection.execute("commit")
    return Build(build_seq, new_slots, full_refresh_from, moved.rows, is_quick)


def finish_build(settings: Settings, build: Build) -> int:
    """Note that every model of the build succeeded, remove what dbt left lying about; how many landed rows were read by now."""
    with open_warehouse(settings) as connection:
        _drop_leftovers(connection)
        connection.execute("update control.build set finished_at = now() where build_seq = ?", [build.build_seq])
        connection.execute("delete from control.restaged_bar")
        landed_rows = _one(connection, "select coalesce(sum(landed_rows), 0)::bigint from landing.slot")
    note_progress(settings, ModelProgress(build_seq=build.build_seq, landed_rows=landed_rows))
    return landed_rows


@dataclass(frozen=True)
class _LastBuild:
    """What the last build that finished went by; None and 0 before the first."""

    fingerprint: str | None = None
    revalidations: int = 0


@dataclass(frozen=True)
class _Moved:
    rows: int = 0
    share: float = 0.0


def _is_by_the_same_project(connection: duckdb.DuckDBPyConnection, project: str) -> bool:
    """Whether the last build that finished, and each that was begun since, was by this dbt project."""
    projects = connection.execute(
        "select distinct project from control.build where build_seq >= "
        "(select max(build_seq) from control.build where finished_at is not null)"
    ).fetchall()
    return [each for (each,) in projects] == [project]


def _read_again(
    connection: duckdb.DuckDBPyConnection, storage: Storage, build_seq: int, judged: set[Slot], again: ReadAgain | None
) -> _Moved:
    """Read the slots again that were judged again, and those that somebody asked for; how many of their rows are others now."""
    if not judged and again is None:
        return _Moved()
    slots = slot_numbers(connection, judged | (again.slots if again else set()))
    if again is None:
        rows, staged = restage(connection, storage, slots, build_seq)
    else:
        rows, staged = restage(connection, storage, slots, build_seq, months=again.months, on_slot=again.on_slot)
    return _Moved(rows, rows / staged if rows else 0.0)


def _last_build(connection: duckdb.DuckDBPyConnection) -> _LastBuild:
    last = connection.execute(
        "select fingerprint, coalesce(revalidations, 0) from control.build "
        "where finished_at is not null order by build_seq desc limit 1"
    ).fetchone()
    return _LastBuild() if last is None else _LastBuild(*last)


def _alert_overrides(settings: Settings) -> list[tuple[str, str, str, float | None, bool]]:
    return [
        (each.rule, each.severity, each.symbol or EVERY_SYMBOL, each.threshold, each.enabled)
        for each in settings.analytics.alert_rules
    ]


def _fingerprint(settings: Settings) -> str:
    analytics = settings.analytics
    rules = [sorted(_alert_overrides(settings), key=str), analytics.enabled, _seed("alert_rule"), _seed("split_ratio")]
    time_zones = [[row["symbol"], row["time_zone"]] for row in _seed("instrument")]  # they decide which bars make a day
    return json.dumps([kernel.VERSION, analytics.computed, rules, analytics.derived_intervals, time_zones])


def _seed(name: str) -> list[dict[str, str]]:
    """The seed's rows, in an order that does not depend on that of its lines."""
    with (_SEEDS / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
        return sorted(csv.DictReader(lines), key=lambda row: list(row.values()))


def _drop_leftovers(connection: duckdb.DuckDBPyConnection) -> None:
    """Of an incremental Python model dbt-duckdb makes a table with the new rows, and takes it for one that goes by itself."""
    left = connection.execute("select table_name from duckdb_tables() where contains(table_name, '__dbt_tmp')").fetchall()
    for (name,) in left:
        connection.execute(f'drop table "{name}"')


def _one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> int:
    row = connection.execute(sql, list(parameters)).fetchone()
    assert row is not None  # every query here is an aggregate
    return row[0]
