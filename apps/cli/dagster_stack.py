"""Dagster's three processes under a supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable

from apps.cli.ending import interrupt_on_signals
from apps.cli.ports import dagster_addresses, refuse_taken_ports
from apps.cli.readiness import is_answering, is_listening, url
from apps.cli.supervisor import ProcessSpec, Supervisor
from orchestration.launcher.wire import is_greeting
from orchestration.processes import dagster_processes, prepare_home
from tickhouse.settings import Settings

READY_SECONDS = 120.0


def dagster_specs(settings: Settings) -> list[ProcessSpec]:
    """The processes in the order of their start; makes Dagster's home."""
    prepare_home(settings)
    chosen = settings.dagster
    ready: dict[str, Callable[[], bool]] = {
        "dagster-code-server": lambda: is_listening(chosen.host, chosen.code_server_port),
        "dagster-warm": lambda: is_greeting(settings.dagster_home),
        "dagster-webserver": lambda: is_answering(chosen.host, chosen.port, "/server_info"),
    }
    return [
        ProcessSpec(each.name, each.command, each.environment, ready.get(each.name, lambda: True), each.is_dispensable)
        for each in dagster_processes(settings)
    ]


def run_dagster(settings: Settings, say: Callable[[str], None]) -> None:
    """Run Dagster until SIGINT, SIGTERM or SIGHUP. Raises ValueError when a port is taken, ProcessDiedError when one of its
    processes ends unasked.
    """
    refuse_taken_ports(dagster_addresses(settings))
    with interrupt_on_signals(), Supervisor(settings.log_path) as supervisor:
        for spec in dagster_specs(settings):
            supervisor.start(spec)
            supervisor.wait_ready(spec.name, READY_SECONDS)
        say(
            f"Dagster is at {url(settings.dagster.host, settings.dagster.port)}; logs are in {settings.log_path}. Ctrl-C ends it."
        )
        while True:
            supervisor.check()
            time.sleep(1)
