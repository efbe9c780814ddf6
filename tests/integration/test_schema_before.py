"""What the previous schema version left is read as it is, built on, verified and rebuilt; what a newer one left is refused."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lake import Lake, bar
from typer.testing import CliRunner

from apps.api.main import create_app
from apps.cli.main import app
from tickhouse.settings import Settings, as_environment
from tickhouse.storage import open_storage
from transform.build import run_build
from transform.marts import FCT_ALERT, FCT_INDICATOR
from transform.proof.verify import verify
from transform.rebuild import rebuild
from transform.snapshot.manifest import NewerSchemaError, latest_manifest, manifest_key
from transform.snapshot.read import SnapshotReader
from transform.snapshot.retention import remove_expired

FIXTURE = Path(__file__).parents[1] / "fixtures" / "schema_1.tar.xz"
BARS, ALERTS, LANDED = 137, 10, 94


@pytest.fixture
def left(build_settings: Settings) -> Settings:
    """A data folder of schema version 1, whose snapshots are kept however long ago they were made."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(build_settings.data_dir, filter="data")
    kept = build_settings.snapshot.model_copy(update={"retention_seconds": timedelta(days=36_500).total_seconds()})
    return build_settings.model_copy(update={"snapshot": kept})


def alerts_of(settings: Settings) -> list[dict[str, Any]]:
    with SnapshotReader(open_storage(settings)).pin() as snapshot:
        assert snapshot is not None
        return snapshot.query("from fct_alert", {}).to_pylist()


def nobody(_stage: str, _done: int, _total: int | None) -> None:
    """Who watches is tested elsewhere."""


def test_its_snapshots_are_read_as_they_are(left: Settings) -> None:
    api = TestClient(create_app(left))
    assert api.get("/health").json()["bars"] == BARS
    page = api.get("/data", params={"symbol": "A", "interval": "1d", "start": "2020-02-29"}).json()
    assert [bar["close"] for bar in page["bars"]] == [101.0, 130.0], "the corrected bar and the one after it"
    assert len(api.get("/indicators/A", params={"interval": "1d", "limit": 1000}).json()["points"]) == 61
    assert api.get("/data", params={"as_of": 0, "symbol": "A", "interval": "1d"}).json()["total"] == 60
    assert api.get("/data-quality", params={"symbol": "A"}).json()["months"] == [], "it had no such table"
    assert [api.get("/stats", params={"as_of": number}).json()["alerts"] for number in (0, 1)] == [8, ALERTS]


def test_a_build_goes_on_with_it_and_publishes_in_the_present_version(left: Settings) -> None:
    storage = open_storage(left)
    before = latest_manifest(storage)
    assert before is not None
    old_files = [file.key for mart in before.marts.values() for file in mart.files]
    Lake(left, position=LANDED).land([bar("A", 61, 100.0)])
    manifest = run_build(left).manifest
    assert (before.schema_version, manifest.schema_version) == (1, 2)
    assert (manifest.number, manifest.parent) == (2, 1)
    assert manifest.balance.landed == LANDED + 1
    assert all(mart.content for name, mart in manifest.marts.items() if name in (FCT_INDICATOR, FCT_ALERT))
    proof = verify(left, storage, nobody)
    assert proof.findings == []
    assert proof.lake.unsealed > 0
    assert remove_expired(storage, timedelta(0), datetime.now(UTC) + timedelta(days=1)) == 2
    still = {file.key for mart in manifest.marts.values() for file in mart.files}
    assert [key for key in old_files if storage.exists(key)] == [key for key in old_files if key in still]


def test_a_rebuild_of_its_lake_holds_what_it_published(left: Settings) -> None:
    raised = {row["alert_id"] for row in alerts_of(left)}
    marts = {mart.name: mart for mart in rebuild(left, nobody).marts}
    assert len(raised) == ALERTS
    assert {mart.name: mart.rows for mart in marts.values() if mart.was_rows is not None and mart.is_same} == {
        FCT_INDICATOR: BARS,
        "dim_instrument": 18,
    }
    assert marts[FCT_ALERT].was_rows == ALERTS
    assert raised < {row["alert_id"] for row in alerts_of(left)}, "there are more rules than there were; none went"
    assert rebuild(left, nobody).is_same


def test_what_a_newer_version_published_is_refused_with_what_to_do(left: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(left)
    before = latest_manifest(storage)
    assert before is not None
    newer = before.model_copy(update={"schema_version": 3, "number": 2, "parent": 1})
    storage.put_if_absent(manifest_key(2), newer.model_dump_json().encode())
    with pytest.raises(NewerSchemaError, match="upgrade tickhouse"):
        run_build(left)
    for name, value in as_environment(left).items():
        monkeypatch.setenv(name, value)
    for command in ("build", "verify", "rebuild", "status"):
        result = CliRunner().invoke(app, [command])
        assert result.exit_code == 1, command
        assert isinstance(result.exception, NewerSchemaError | SystemExit), "the program's entry tells it in one line"
