"""The slots that a build may read: a row each in `landing.slot`, by their validation records in force."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

import duckdb

from ingestion.chain.slot import Chain
from ingestion.chain.walk import read_genesis
from tickhouse.storage import Storage
from transform.validation.record import ValidationRecord, walk_records
from transform.validation.revalidation import RecordsInForce

Slot = tuple[str, int]
"""A slot by its chain's path and its position."""


def register(
    connection: duckdb.DuckDBPyConnection,
    storage: Storage,
    chain: Chain,
    in_force: RecordsInForce,
    build_seq: int,
    end: int | None,
) -> int:
    known = _one(connection, "select max(next_offset) from landing.slot where chain = ?", [chain.path])
    records = list(takewhile(lambda record: end is None or record.next_offset <= end, walk_records(storage, chain, known)))
    if not records:
        return 0
    slot_seq = _one(connection, "select coalesce(max(slot_seq), 0) + 1 from landing.slot")
    begun_at = _topic_begun_at(connection, storage, chain)
    rows = [_slot_row(slot_seq + i, build_seq, chain, begun_at, in_force.of(record)) for i, record in enumerate(records)]
    connection.executemany("insert into landing.slot values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return len(rows)


def register_changes(connection: duckdb.DuckDBPyConnection, chain: Chain, in_force: RecordsInForce) -> None:
    """Let slots that were registered before have the quarantine that a revalidation left them."""
    positions = [record.position for record in in_force.changed]
    if not positions:
        return
    registered = dict(
        connection.execute(
            "select position, quarantine_key from landing.slot where chain = ? and position in (select unnest(?::bigint[]))",
            [chain.path, positions],
        ).fetchall()
    )
    changes = [
        (record.quarantine_key, record.quarantined_rows, record.validated_at, chain.path, record.position)
        for record in in_force.changed
        if record.position in registered and registered[record.position] != record.quarantine_key
    ]
    if changes:
        update = (
            "update landing.slot set quarantine_key = ?, quarantined_rows = ?, validated_at = ? where chain = ? and position = ?"
        )
        connection.executemany(update, changes)


def slot_numbers(connection: duckdb.DuckDBPyConnection, slots: Collection[Slot]) -> list[int]:
    """Which of the slots are registered, by their numbers."""
    chains, positions = [list(each) for each in zip(*slots, strict=True)] or ([], [])
    found = connection.execute(
        "select slot_seq from landing.slot semi join "
        "(select unnest(?::varchar[]) as chain, unnest(?::bigint[]) as position) using (chain, position) order by slot_seq",
        [chains, positions],
    ).fetchall()
    return [slot_seq for (slot_seq,) in found]


def _slot_row(slot_seq: int, build_seq: int, chain: Chain, begun_at: object, record: ValidationRecord) -> Sequence[object]:
    return (
        slot_seq,
        build_seq,
        chain.path,
        record.position,
        record.next_offset,
        chain.slot_key(record.position),
        record.quarantine_key,
        begun_at,
        record.landed_rows,
        record.quarantined_rows,
        record.validated_at,
    )


def _topic_begun_at(connection: duckdb.DuckDBPyConnection, storage: Storage, chain: Chain) -> object:
    """One time for all partitions of an incarnation: its bars are then ordered by Kafka's timestamps alone."""
    stored = _one(
        connection,
        "select min(topic_begun_at) from landing.slot where starts_with(chain, ?)",
        [f"topic={chain.topic}/id={chain.topic_id}/"],
    )
    return stored or read_genesis(storage, chain).begun_at


def _one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> int:
    row = connection.execute(sql, list(parameters)).fetchone()
    assert row is not None  # every query here is an aggregate
    return row[0]
