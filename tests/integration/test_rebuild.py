"""From the lake alone a rebuild makes what many builds made bit by bit, and says where it does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from lake import BEGUN_AT, Lake, bar
from typer.testing import CliRunner

from apps.cli.main import app
from tickhouse.settings import Settings, as_environment
from tickhouse.storage import open_storage
from transform import rebuild as rebuilding
from transform.build import run_build
from transform.dbt import DbtError
from transform.marts import FCT_INDICATOR, MARTS
from transform.rebuild import Rebuild, rebuild
from transform.snapshot.manifest import Manifest, latest_manifest, manifest_key


@pytest.fixture(scope="module")
def lake(shared_build_settings: Settings) -> Lake:
    """Three builds of new bars, doubles, corrections, quarantined rows, a new symbol; and a slot that no build has seen."""
    lake = Lake(shared_build_settings)
    lake.land([bar("A", day, 100.0 + day % 7 * 3) for day in range(60)])
    run_build(lake.settings)
    lake.land([bar("A", 59, 101.0), bar("A", 60, 103.0), bar("BAD", 0, 1.0, high=0.5), bar("B", 0, 10.0)])
    run_build(lake.settings)
    lake.land([bar("A", 3, 160.0), bar("A", 3, 161.0)] + [bar("B", day, 10.0 + day) for day in range(1, 25)])
    run_build(lake.settings)
    lake.land([bar("A", 61, 99.0)])
    return lake


@pytest.fixture
def copied(lake: Lake, tmp_path: Path) -> Settings:
    shutil.copytree(lake.settings.data_dir, tmp_path / "data")
    return lake.settings.model_copy(update={"data_dir": tmp_path / "data"})


def newest(settings: Settings) -> Manifest:
    manifest = latest_manifest(open_storage(settings))
    assert manifest is not None
    return manifest


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Nobody watches."""


def contents(manifest: Manifest) -> dict[str, str | None]:
    return {name: mart.content for name, mart in manifest.marts.items()}


def test_a_rebuild_gives_the_same_contents_and_builds_go_on_from_it(copied: Settings) -> None:
    before, told = newest(copied), dict[str, tuple[int, int | None]]()
    came_to = rebuild(copied, lambda stage, done, total: told.update({stage: (done, total)}))
    assert came_to.is_same
    assert {mart.name for mart in came_to.marts} == set(MARTS)
    assert (came_to.slots, came_to.landed_rows) == (3, 90)
    assert came_to.published.number == before.number + 1
    assert (came_to.published.balance, came_to.published.watermark) == (before.balance, before.watermark)
    assert told.keys() == {"models and tests, built", "rows, published"}
    assert told["models and tests, built"][0] == told["models and tests, built"][1]
    assert sorted(path.name for path in copied.data_dir.iterdir() if "rebuild" in path.name) == []
    built = run_build(copied).manifest
    assert built.balance.landed == before.balance.landed + 1, "what landed since comes with the next build"
    assert built.balance.current == before.balance.current + 1


def test_without_a_warehouse_what_somebody_changed_is_named(copied: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    copied.warehouse_path.unlink()
    path = open_storage(copied).local_path(manifest_key(newest(copied).number))
    manifest = json.loads(path.read_text())
    manifest["marts"][FCT_INDICATOR]["files"][0]["content"] = "0123456789abcdef"
    path.write_text(json.dumps(manifest))
    for name, value in as_environment(copied).items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["rebuild"])
    assert result.exit_code == 1, result.output
    assert "rows, contents 0123456789abcdef" in result.stdout
    assert result.stdout.count(": same\n") == len(MARTS) - 1
    assert "Contents differ from those of snapshot 2." in result.stdout
    assert CliRunner().invoke(app, ["build"]).exit_code == 0


def test_when_nothing_is_published_any_more_everything_is_made_of_the_lake(copied: Settings) -> None:
    before = newest(copied)
    for path in (copied.lake_path / "published", copied.lake_path / "validated", copied.lake_path / "quarantine"):
        shutil.rmtree(path)
    copied.warehouse_path.write_bytes(b"damaged")
    copied.warehouse_path.with_name("warehouse.duckdb.wal").write_bytes(b"of the old one")
    came_to: Rebuild = rebuild(copied, silent)
    assert (came_to.before, came_to.published.number, came_to.slots) == (None, 0, 4)
    expected = before.balance.model_copy(update={"landed": 91, "current": before.balance.current + 1})
    assert came_to.published.balance == expected
    built = run_build(copied)
    assert built.manifest.number == 0, "nothing is new"


def test_a_rebuild_that_fails_leaves_what_was(copied: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before, warehouse = newest(copied), copied.warehouse_path.read_bytes()
    monkeypatch.setattr(rebuilding, "failure_text", lambda _results: "a model failed")
    monkeypatch.setattr(rebuilding, "build_models", lambda *_, **__: [])
    with pytest.raises(DbtError, match="a model failed"):
        rebuild(copied, silent)
    assert copied.warehouse_path.read_bytes() == warehouse
    assert newest(copied) == before
    assert not (copied.data_dir / "rebuild").exists()


def test_what_a_killed_rebuild_did_not_publish_the_next_build_does(copied: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> Manifest:
        raise KeyboardInterrupt

    before = newest(copied)
    with monkeypatch.context() as patched:
        patched.setattr(rebuilding, "publish_warehouse", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild(copied, silent)
    assert newest(copied) == before
    Lake(copied, position=before.watermark["topic=bars/id=incarnation-1/partition=0"] + 1).land(
        [bar("C", 0, 1.0, produced_at=BEGUN_AT)]
    )
    built = run_build(copied).manifest
    assert built.number == before.number + 1
    assert built.balance.current == before.balance.current + 2
