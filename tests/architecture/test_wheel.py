"""What is installed from the wheel is all that running needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tickhouse", "ingestion", "transform", "orchestration", "dbt_project", "apps", "infra")
SHIPPED = {".py", ".sql", ".yml", ".yaml", ".csv", ".json", ".xml", ".properties", ".toml", ".css", ".html", ".js", ".svg"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the committed tree with the setuptools of the lock, offline."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        built,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(built.glob("tickhouse-*.whl")))


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def test_every_package_and_what_it_reads_at_run_time_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    needed = {name for name in tracked() if name.split("/")[0] in PACKAGES and Path(name).suffix in SHIPPED}
    assert needed - set(wheel.namelist()) == set()


def test_what_lies_at_the_top_and_is_read_at_run_time_is_a_link_to_what_is_shipped() -> None:
    assert (ROOT / "workspace.yaml").resolve() == ROOT / "infra" / "dagster" / "workspace.yaml"


def test_nothing_else_is(wheel: zipfile.ZipFile) -> None:
    strangers = {name.split("/")[0] for name in wheel.namelist()} - set(PACKAGES)
    assert {name for name in strangers if not name.endswith(".dist-info")} == set()


def test_the_command_is_installed_with_it(wheel: zipfile.ZipFile) -> None:
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "tickhouse = apps.cli.main:app" in wheel.read(entry_points).decode()
