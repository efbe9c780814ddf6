"""A reader sees one snapshot whole; retention takes nothing from under it; publishers cannot overtake each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.marts import (
    DIM_INSTRUMENT,
    DIM_INSTRUMENT_SCHEMA,
    FCT_ALERT,
    FCT_ALERT_SCHEMA,
    FCT_INDICATOR,
    FCT_INDICATOR_SCHEMA,
)
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, latest_manifest, latest_number, manifest_key
from transform.snapshot.publish import NewMart, Publication, PublishConflictError, holds, publish
from transform.snapshot.read import SnapshotReader
from transform.snapshot.retention import remove_expired

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


def publication(storage: Storage, build_seq: int, *, with_alerts: bool = True) -> Publication:
    """The next snapshot, whose every row carries `build_seq`."""
    bars = pa.Table.from_pylist([{"symbol": "A", "change_seq": build_seq}] * build_seq, schema=FCT_INDICATOR_SCHEMA)
    alerts = pa.Table.from_pylist([{"symbol": "A", "change_seq": build_seq}], schema=FCT_ALERT_SCHEMA)
    tables = {FCT_INDICATOR: bars, **({FCT_ALERT: alerts} if with_alerts else {})}
    balance = Balance(landed=build_seq, current=build_seq, superseded=0, quarantined=0)
    return Publication(latest_manifest(storage), build_seq, None, {"chain": build_seq}, balance, None, whole_marts(tables))


def whole_marts(tables: dict[str, pa.Table]) -> dict[str, NewMart]:
    return {name: NewMart(cells=[(Cell(0), table)]) for name, table in tables.items()}


def bars_seen(reader: SnapshotReader) -> list[int]:
    with reader.pin() as snapshot:
        assert snapshot is not None
        return snapshot.query(f"select change_seq from {FCT_INDICATOR}")["change_seq"].to_pylist()


def files_of(manifest: Manifest) -> set[str]:
    return {file.key for mart in manifest.marts.values() for file in mart.files}


def test_before_anything_is_published_a_reader_sees_nothing(storage: Storage) -> None:
    with SnapshotReader(storage).pin() as snapshot:
        assert snapshot is None


def test_each_snapshot_names_the_one_before_it(storage: Storage) -> None:
    manifests = [publish(storage, publication(storage, number)) for number in (1, 2, 3)]
    assert [(manifest.number, manifest.parent) for manifest in manifests] == [(0, None), (1, 0), (2, 1)]
    assert latest_number(storage) == 2
    assert bars_seen(SnapshotReader(storage)) == [3, 3, 3]


def test_a_pinned_reader_keeps_its_snapshot_while_others_are_published(storage: Storage) -> None:
    publish(storage, publication(storage, 1))
    reader = SnapshotReader(storage)
    with reader.pin() as pinned:
        assert pinned is not None
        publish(storage, publication(storage, 2))
        assert pinned.query(f"select change_seq from {FCT_INDICATOR}")["change_seq"].to_pylist() == [1]
        assert bars_seen(reader) == [2, 2]


def test_a_mart_that_did_not_change_keeps_its_files(storage: Storage) -> None:
    first = publish(storage, publication(storage, 1))
    second = publish(storage, publication(storage, 2, with_alerts=False))
    assert second.marts[FCT_ALERT] == first.marts[FCT_ALERT]
    assert second.marts[FCT_INDICATOR] != first.marts[FCT_INDICATOR]


def test_what_carries_no_build_is_told_apart_by_its_contents(storage: Storage) -> None:
    rows = [{"symbol": "A", "name": "Company A"}, {"symbol": "B"}]
    table = pa.Table.from_pylist(rows, schema=DIM_INSTRUMENT_SCHEMA)
    published = publish(storage, replace(publication(storage, 1), marts=whole_marts({DIM_INSTRUMENT: table}))).marts[
        DIM_INSTRUMENT
    ]
    assert (published.rows, published.max_change_seq) == (2, 0)
    assert holds(published, pa.Table.from_pylist(rows, schema=DIM_INSTRUMENT_SCHEMA))
    renamed = [{"symbol": "A", "name": "Company B"}, {"symbol": "B"}]
    assert not holds(published, pa.Table.from_pylist(renamed, schema=DIM_INSTRUMENT_SCHEMA))


def test_retention_removes_what_only_old_snapshots_refer_to(storage: Storage) -> None:
    first = publish(storage, publication(storage, 1))
    second = publish(storage, publication(storage, 2, with_alerts=False))
    assert remove_expired(storage, timedelta(hours=1)) == 0, "too young"
    assert remove_expired(storage, timedelta(hours=1), LATER) == 1
    assert not storage.exists(manifest_key(first.number))
    assert all(storage.exists(key) for key in files_of(second)), "the alerts file is the first one's, and still referred to"
    assert not any(storage.exists(key) for key in files_of(first) - files_of(second))
    assert bars_seen(SnapshotReader(storage)) == [2, 2]


def test_retention_takes_no_snapshot_from_under_a_reader(storage: Storage) -> None:
    first = publish(storage, publication(storage, 1))
    with SnapshotReader(storage).pin() as pinned:
        assert pinned is not None
        publish(storage, publication(storage, 2))
        assert remove_expired(storage, timedelta(0), LATER) == 0
        assert pinned.query(f"select count(*) as n from {FCT_ALERT}").to_pylist() == [{"n": 1}]
    assert remove_expired(storage, timedelta(0), LATER) == 1
    assert not any(storage.exists(key) for key in files_of(first))


def test_of_two_publishers_the_slower_is_told(storage: Storage) -> None:
    publish(storage, publication(storage, 1))
    slower = publication(storage, 3)
    second = publish(storage, publication(storage, 2))
    with pytest.raises(PublishConflictError):
        publish(storage, slower)
    assert bars_seen(SnapshotReader(storage)) == [2, 2]
    assert all(storage.exists(key) for key in files_of(second))
