"""Everything a run needs, imported and made once; and the guard that nothing of it harms a fork."""

import contextlib
import gc
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from tickhouse.settings import Settings

DEFINITIONS = "orchestration.definitions"

_DATABASES = (".duckdb", ".wal", ".db", ".db-wal", ".db-shm", ".sqlite")

_IMPORTED_LATE = (
    "alembic.config",
    "alembic.script",
    "dagster._cli.api",
    "dagster._core.execution.plan.active",
    "dagster._core.execution.plan.execute_plan",
    "dagster._core.execution.plan.execute_step",
    "dagster._core.execution.run_metrics_thread",
    "dagster._core.executor.in_process",
    "dagster._core.executor.multiprocess",
    "dagster._core.instance.factory",
    "dagster._core.launcher.default_run_launcher",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.fs_io_manager",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.migration.utils",
    "dagster._core.storage.root",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._grpc.impl",
    "dbt.adapters.duckdb",
    "dbt.cli.main",
    "sqlalchemy.dialects.sqlite",
    "upath.implementations.local",
)
"""What Dagster and dbt import only when a run needs it."""


def warm_up(settings: Settings) -> None:
    """Import what a run imports, and make what it makes of files: definitions, the parsed dbt project, rules, compiled code."""
    from orchestration.launcher.fork import run_aside
    from orchestration.launcher.rehearsal import rehearse
    from transform.indicators import kernel, signals
    from transform.parsed_project import ensure_manifest, parsed_project

    run_aside(lambda: ensure_manifest(settings))  # a parse leaves threads of native code behind
    for module in _IMPORTED_LATE:
        importlib.import_module(module)
    _load_definitions()
    parsed_project(settings)
    kernel.load_compiled_code()
    signals.load_compiled_code()
    _load_migrations()
    rehearse(settings)
    gc.collect()
    gc.freeze()  # else the first collection of every fork copies all pages


def _load_definitions() -> None:
    module = importlib.import_module(DEFINITIONS)
    repository = module.loaded_definitions().get_repository_def()
    for job in repository.get_all_jobs():
        _ = job.graph


def _load_migrations() -> None:
    """Opening an instance on SQLite reads the scripts of its migrations again and again: read once, they are shared.

    They are files of Dagster's own, and a `ScriptDirectory` holds nothing of a database.
    """
    from alembic.script import ScriptDirectory
    from dagster._core.storage import sql
    from dagster._core.storage.event_log import sqlite as events
    from dagster._core.storage.runs import sqlite as runs
    from dagster._core.storage.schedules import sqlite as schedules

    read = ScriptDirectory.from_config.__func__  # type: ignore[attr-defined]
    shared: dict[str | None, ScriptDirectory] = {}

    def from_config(cls: type[ScriptDirectory], config: sql.Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in shared:
            shared[place] = read(cls, config)
        return shared[place]

    ScriptDirectory.from_config = classmethod(from_config)  # type: ignore[assignment, method-assign]
    for module in (events, runs, schedules):
        ScriptDirectory.from_config(sql.get_alembic_config(module.__file__)).get_heads()


def unsafe_to_fork() -> str | None:
    """Why a fork would not be a process like any other; None when it would.

    A thread is not there in a fork, and what it held locked stays so. A database that is open is one whose file lock the
    fork does not have: DuckDB would write to it all the same, and lose rows in silence.
    """
    if opened := sorted({path for path in _open_files() if path.endswith(_DATABASES)}):
        return f"it has databases open: {', '.join(opened)}"
    threads = list(_threads())
    return f"it has other threads: {', '.join(threads[1:])}" if len(threads) > 1 else None


def _threads() -> Iterator[str]:
    tasks = Path("/proc/self/task")
    for thread in sorted(tasks.iterdir(), key=lambda path: int(path.name) != os.getpid()):
        with contextlib.suppress(FileNotFoundError):
            yield (thread / "comm").read_text().strip()


def _open_files() -> Iterator[str]:
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{entry}")
