"""Broker, ingestor, Dagster and API as their commands run them, on ports that are free, in a folder of the benchmark's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.cli.dagster_stack import dagster_specs
from apps.cli.demo.processes import broker_spec, command_spec
from apps.cli.readiness import is_answering
from apps.cli.start import with_changes
from apps.cli.supervisor import Supervisor
from ingestion.topic import ensure_topic
from tickhouse.settings import KafkaSettings, Settings

READY_SECONDS = 180.0


def stack_settings(folder: Path, launcher: str) -> Settings:
    """The defaults, whatever tickhouse.yaml and the environment say, with one partition."""
    kafka, api, web, code = free_ports(4)
    settings = Settings(
        data_dir=folder,
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{kafka}", partitions=1),
        _env_file=None,
    )
    settings = with_changes(settings, "api", port=api)
    return with_changes(settings, "dagster", port=web, code_server_port=code, launcher=launcher)


@contextmanager
def running(settings: Settings) -> Iterator[Supervisor]:
    """Everything from the broker to the API, ready; ended afterwards."""
    with Supervisor(settings.log_path) as supervisor:
        supervisor.start(broker_spec(settings))
        supervisor.wait_ready("broker", READY_SECONDS)
        ensure_topic(settings)
        supervisor.start(command_spec(settings, "ingestor", ["ingest"]))
        host, port = settings.api.host, settings.api.port
        api = command_spec(settings, "api", ["api"], lambda: is_answering(host, port, "/health"))
        for spec in (*dagster_specs(settings), api):
            supervisor.start(spec)
            supervisor.wait_ready(spec.name, READY_SECONDS)
        yield supervisor


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
