"""Imports go one way, and each outside library is known to one part only: the contracts are in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "pandas",
    "pyarrow",
    "duckdb",
    "dbt",
    "dagster",
    "great_expectations",
    "streamlit",
    "fastapi",
    "confluent_kafka",
    "numba",
)


def test_the_contracts_hold() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


@pytest.mark.parametrize("module", ["apps.cli.main", "tickhouse.settings"])
def test_what_every_command_imports_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_makes_no_file(tmp_path: Path) -> None:
    """Nothing connects, reads the lake or makes a folder before it is asked to."""
    modules = "apps.api.main, apps.cli.main, ingestion.broker, orchestration.processes, transform.build, transform.dbt"
    subprocess.run([sys.executable, "-B", "-c", f"import {modules}"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert list(tmp_path.iterdir()) == []
