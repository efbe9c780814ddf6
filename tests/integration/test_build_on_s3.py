"""The same build with the lake in a bucket: landed, validated, modelled, published and read through S3."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from lake import Lake, bar
from s3_server import CREDENTIALS, make_bucket, s3_server

from tickhouse.settings import Settings, StorageSettings
from transform.build import run_build
from transform.proof.verify import verify
from transform.rebuild import rebuild
from transform.snapshot.read import SnapshotReader
from transform.snapshot.retention import remove_expired


@pytest.fixture
def lake(build_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as address:
        bucket = f"lake-{uuid.uuid4().hex[:8]}"  # moto keeps buckets from one server to the next
        make_bucket(address, bucket)
        storage = StorageSettings(kind="s3", bucket=bucket, prefix="prod", endpoint_url=address, region="us-east-1")
        yield Lake(build_settings.model_copy(update={"storage": storage}))


def test_bars_in_a_bucket_are_built_published_and_read(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0 + day) for day in range(30)])
    lake.land([bar("A", 30, 120.0), bar("BAD", 0, 1.0, high=0.5)])
    balance = run_build(lake.settings).manifest.balance
    assert balance.model_dump() == {"landed": 32, "current": 31, "superseded": 0, "quarantined": 1}
    with SnapshotReader(lake.storage).pin() as snapshot:
        assert snapshot is not None
        assert snapshot.query("select count(sma_20) as n from fct_indicator").to_pylist() == [{"n": 12}]


def nobody(_stage: str, _done: int, _total: int | None) -> None:
    """Who watches is tested elsewhere."""


def test_a_machine_that_lost_its_local_copies_builds_and_proves_the_same_from_the_bucket(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0 + day) for day in range(30)])
    run_build(lake.settings)
    before = rows(lake)
    shutil.rmtree(lake.settings.data_dir)
    run_build(lake.settings)
    assert rows(lake) == before
    assert rebuild(lake.settings, nobody).is_same
    proof = verify(lake.settings, lake.storage, nobody)
    assert (proof.findings, proof.lake.bars, proof.snapshots.snapshots) == ([], 30, 3)


def test_old_snapshots_leave_the_bucket(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    first = run_build(lake.settings).manifest
    lake.land([bar("A", 1, 2.0)])
    run_build(lake.settings)
    assert remove_expired(lake.storage, timedelta(0), datetime.now(UTC) + timedelta(days=1)) == 1
    [gone] = first.marts["fct_indicator"].files
    assert not lake.storage.exists(gone.key)
    assert [row["interval"] for row in rows(lake)].count("1d") == 2


def rows(lake: Lake) -> list[dict[str, object]]:
    with SnapshotReader(lake.storage).pin() as snapshot:
        assert snapshot is not None
        return snapshot.query("select * exclude (change_seq) from fct_indicator order by symbol, interval, ts").to_pylist()
