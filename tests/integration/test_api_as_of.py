"""An earlier snapshot is asked for by its number or by a time, for as long as it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from market_snapshot import publish_bars, stock_bars

from apps.api.dependencies import SNAPSHOT_HEADER
from apps.api.main import create_app
from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.snapshot.manifest import Manifest, read_manifest
from transform.snapshot.retention import remove_expired

BARS = stock_bars().query("symbol == 'FB'")
SIZES = (60, 70, 80, 90)
REQUESTS = ["/", "/health", "/stats", "/data", "/symbols", "/symbol/FB", "/indicators/FB"]


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
def snapshots(storage: Storage) -> list[Manifest]:
    """Four, of growing size."""
    return [publish_bars(storage, BARS.head(size)) for size in SIZES]


@pytest.fixture
def api(settings: Settings, snapshots: list[Manifest]) -> TestClient:
    return TestClient(create_app(settings))


def moment(manifest: Manifest, *, later: timedelta = timedelta(0)) -> str:
    return (manifest.published_at + later).isoformat()


@pytest.mark.parametrize("path", REQUESTS)
def test_every_endpoint_answers_from_the_snapshot_of_a_number(api: TestClient, path: str) -> None:
    response = api.get(path, params={"as_of": 1})
    assert response.status_code == 200, response.text
    assert response.headers[SNAPSHOT_HEADER] == "1"
    assert response.json()["snapshot"]["number"] == 1


@pytest.mark.parametrize("number", range(len(SIZES)))
def test_bars_are_those_of_then(api: TestClient, number: int) -> None:
    assert api.get("/data", params={"as_of": number}).json()["total"] == SIZES[number]
    series = api.get("/indicators/FB", params={"as_of": number, "limit": 1000}).json()
    assert len(series["points"]) == SIZES[number]
    assert api.get("/data").json()["total"] == SIZES[-1], "the newest, when nothing is asked for"


def test_a_time_is_that_of_the_snapshot_that_was_the_newest_then(api: TestClient, snapshots: list[Manifest]) -> None:
    instant = timedelta(microseconds=1)
    for number, manifest in enumerate(snapshots):
        assert api.get("/health", params={"as_of": moment(manifest)}).headers[SNAPSHOT_HEADER] == str(number)
    assert api.get("/health", params={"as_of": moment(snapshots[2], later=-instant)}).headers[SNAPSHOT_HEADER] == "1"
    tomorrow = moment(snapshots[-1], later=timedelta(days=1))
    assert api.get("/health", params={"as_of": tomorrow}).headers[SNAPSHOT_HEADER] == "3"


def test_what_was_not_published_by_then_is_not_found(api: TestClient, snapshots: list[Manifest]) -> None:
    for as_of in (moment(snapshots[0], later=-timedelta(seconds=1)), "1999-01-01", "4", "9" * 18):
        response = api.get("/data", params={"as_of": as_of})
        assert response.status_code == 404, as_of
        assert response.json()["error"] == "unknown_snapshot"
        assert "the oldest kept is 0" in response.json()["message"]


def test_what_retention_has_removed_is_gone_and_what_is_left_is_told(
    api: TestClient, storage: Storage, snapshots: list[Manifest]
) -> None:
    remove_expired(storage, timedelta(0), now=datetime.now(UTC) + timedelta(days=1))
    for as_of in ("2", moment(snapshots[1])):
        response = api.get("/data", params={"as_of": as_of})
        assert response.status_code == 410
        assert response.json()["error"] == "snapshot_gone"
        assert "the oldest kept is 3" in response.json()["message"]
    assert api.get("/data", params={"as_of": 3}).json()["total"] == SIZES[-1]


def test_before_the_first_publication_no_snapshot_is_known(settings: Settings) -> None:
    response = TestClient(create_app(settings)).get("/stats", params={"as_of": 0})
    assert (response.status_code, response.json()["error"]) == (404, "unknown_snapshot")


@pytest.mark.parametrize("as_of", ["", "x", "-1", "1.5", "2026-13-01", "9" * 30])
def test_what_is_neither_a_number_nor_a_time_is_refused_once(api: TestClient, as_of: str) -> None:
    response = api.get("/data", params={"as_of": as_of})
    assert response.status_code == 422
    assert [problem["parameter"] for problem in response.json()["problems"]] == ["as_of"]


def test_a_snapshot_of_a_newer_version_is_refused_with_what_to_do(settings: Settings, storage: Storage) -> None:
    published = publish_bars(storage, BARS.head(10))
    newer = read_manifest(storage, published.number).model_copy(update={"schema_version": 3, "number": 1})
    storage.put_if_absent("published/manifests/00000000000000000001.json", newer.model_dump_json().encode())
    response = TestClient(create_app(settings)).get("/data")
    assert response.status_code == 503
    assert "upgrade tickhouse" in response.json()["message"]
