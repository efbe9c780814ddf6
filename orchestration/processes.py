"""How Dagster is started: one code server, the daemon and the web server beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestration.instance import FOLDER, instance_yaml, open_instance, secret_environment
from tickhouse.settings import Settings, as_environment, process_environment

# The workspace.yaml at the top is a link to this one: what lies there is not in the wheel.
WORKSPACE = FOLDER / "workspace.yaml"


@dataclass(frozen=True)
class DagsterProcess:
    """A long-running process of Dagster's: its name, command line and whole environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    is_dispensable: bool = False
    """Whether the others go on without it, until it is started again."""


EVENT_BATCH_SIZE = "500"
"""So many events that belong together are stored at once."""

WARM_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "GX_ANALYTICS_ENABLED": "false",
}
"""What keeps libraries from starting threads when they are imported: a process with threads cannot be forked."""


def dagster_processes(settings: Settings) -> list[DagsterProcess]:
    """The code server, which loads the definitions once; the warm process, which forks runs; the daemon, which runs the sensor;
    the web server.
    """
    chosen = settings.dagster
    environment = {**process_environment(), **as_environment(settings), "DAGSTER_HOME": str(settings.dagster_home)}
    environment |= secret_environment(settings)
    environment["DAGSTER_EVENT_BATCH_SIZE"] = EVENT_BATCH_SIZE
    code_server = (
        "dagster",
        "api",
        "grpc",
        "-m",
        "orchestration.definitions",
        "-h",
        chosen.host,
        "-p",
        str(chosen.code_server_port),
    )
    daemon = ("orchestration.daemon", "run", "-w", str(WORKSPACE))
    read_only = ("--read-only",) if chosen.read_only else ()
    webserver = ("dagster_webserver", "-w", str(WORKSPACE), "-h", chosen.host, "-p", str(chosen.port), *read_only)
    commands = {"dagster-code-server": code_server, "dagster-daemon": daemon, "dagster-webserver": webserver}
    started = [DagsterProcess(name, (sys.executable, "-m", *arguments), environment) for name, arguments in commands.items()]
    if chosen.launcher == "warm" and sys.platform == "linux":
        warm = (sys.executable, "-m", "orchestration.launcher")
        started.insert(1, DagsterProcess("dagster-warm", warm, {**environment, **WARM_ENVIRONMENT}, is_dispensable=True))
    return started


def prepare_home(settings: Settings) -> Path:
    """Make Dagster's home with the instance's configuration and its databases; returns it.

    The databases are made here because the daemon and the web server, started at once on an empty home,
    both make them and leave a schema neither can read.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(instance_yaml(settings), encoding="utf-8")
    with open_instance(settings) as instance:
        instance.get_runs_count()
    return home
