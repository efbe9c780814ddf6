"""Running dbt in this process, with everything it needs handed in: no profile to install, no path to set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dbt_project
from tickhouse.settings import Settings, load_settings
from transform.dbt_once import work_out_once

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

PROJECT = Path(dbt_project.__file__).parent

_one_at_a_time = threading.RLock()
_running: Settings | None = None


class DbtError(RuntimeError):
    """dbt could not run, or a model or test failed; the message names which and why."""


OnNode = Callable[[int, int], object]
"""Told that dbt begins with a model, seed or test: the how-manyeth it is, and of how many."""


def run_dbt(
    settings: Settings, *arguments: str, on_node: OnNode | None = None, project: Manifest | None = None
) -> dbtRunnerResult:
    """Run dbt with the project, profile and target folder of `settings`; what dbt itself returns.

    `project` is the project as it was parsed before, and is not parsed again. Raises DbtError when dbt could not run at all. A
    failing model is in the result.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    work_out_once()
    _write_profile(settings)
    target = settings.dbt_target_path
    folders = ["--project-dir", PROJECT, "--profiles-dir", target, "--target-path", target, "--log-path", settings.log_path]
    with _running_with(settings):
        try:
            callbacks: list[Callable[[EventMsg], None]] = [] if on_node is None else [partial(_tell_node, on_node)]
            result = dbtRunner(project, callbacks).invoke([*arguments, *map(str, folders)])
        finally:
            DuckDBConnectionManager.close_all_connections()  # else the warehouse stays locked while this process lives
    if result.exception is not None:
        raise DbtError(f"dbt {' '.join(arguments)}: {result.exception}") from result.exception
    return result


def _tell_node(on_node: OnNode, event: EventMsg) -> None:
    if event.info.name == "LogStartLine":
        on_node(event.data.index, event.data.total)


def generate_docs(settings: Settings, *, with_catalog: bool = True) -> Path:
    """One self-contained page with every model, column and the lineage; returns its path.

    `with_catalog` reads types and sizes from the warehouse, so hold `build_lock`.
    """
    empty = [] if with_catalog else ["--empty-catalog"]
    result = run_dbt(settings, "--quiet", "docs", "generate", "--static", *empty)
    if not result.success:
        raise DbtError("dbt docs generate failed; see dbt.log in the log folder")
    return settings.dbt_target_path / "static_index.html"


def running_settings() -> Settings:
    """The settings dbt is running under, for the Python models it calls; this machine's when started by hand."""
    return _running if _running is not None else load_settings()


@contextmanager
def _running_with(settings: Settings) -> Iterator[None]:
    global _running  # dbt calls Python models with nothing of ours in their arguments
    with _one_at_a_time:
        before, _running = _running, settings
        try:
            yield
        finally:
            _running = before


def _write_profile(settings: Settings) -> None:
    settings.dbt_target_path.mkdir(parents=True, exist_ok=True)
    settings.log_path.mkdir(parents=True, exist_ok=True)
    profile = settings.dbt_target_path / "profiles.yml"
    text = _PROFILE.format(warehouse=settings.warehouse_path)
    if not profile.is_file() or profile.read_text() != text:
        profile.write_text(text)


_PROFILE = """\
tickhouse:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{warehouse}"
      schema: main
      threads: 1
      settings: {{TimeZone: UTC}}
"""
