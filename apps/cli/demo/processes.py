"""The processes of a demo: the same commands a person would type, each with the demo's settings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import psutil
from rich.console import Console

from apps.cli.dagster_stack import dagster_specs
from apps.cli.readiness import is_answering, is_listening
from apps.cli.start import with_changes
from apps.cli.supervisor import ProcessSpec, Supervisor
from ingestion.broker import BrokerUnavailableError, ensure_kafka
from ingestion.kafka_runtime import find_java
from ingestion.mock_broker import MockBroker
from tickhouse.settings import Settings, as_environment, process_environment
from transform.progress import read_progress

READY_SECONDS = 120.0
RUNNERS = ("dagster-code-server", "dagster-warm")
"""Those that Dagster's runs are started by."""


class Stack:
    """Everything a demo runs. `settings` name the broker that is really there.

    What comes first in the data's way is started first, and the rest one at a time: started all at once they would
    keep each other from starting.
    """

    def __init__(self, supervisor: Supervisor, settings: Settings, console: Console) -> None:
        self.settings = settings
        self._supervisor = supervisor
        self._console = console
        self._mock: MockBroker | None = None
        self._next: list[ProcessSpec] = []

    @property
    def has_broker(self) -> bool:
        """Whether the broker is Kafka, and not the mock that stands in."""
        return self._mock is None

    def start(self) -> None:
        """Start the broker, Dagster's code server and the ingestor; returns when the broker answers."""
        self._start_broker()
        code_server, *others, webserver = dagster_specs(self.settings)
        self._supervisor.start(code_server)
        self._next = [*others, *serving_specs(self.settings), webserver]
        if self._mock is None:
            self._supervisor.wait_ready("broker", READY_SECONDS)
        self._supervisor.start(command_spec(self.settings, "ingestor", ["ingest"]))

    def advance(self) -> None:
        """Start the next process if all that were started are ready. Raises ProcessDiedError when one ended."""
        self._supervisor.check()
        if self._next and self._supervisor.are_ready():
            self._supervisor.start(self._next.pop(0))

    def wait_ready(self) -> None:
        """Return when everything runs and is ready. Raises as `Supervisor.wait_ready` does."""
        while self._next:
            self._supervisor.wait_ready(self._supervisor.names[-1], READY_SECONDS)
            self.advance()
        for name in self._supervisor.names:
            self._supervisor.wait_ready(name, READY_SECONDS)

    def restart(self, name: str) -> None:
        """Kill a process with all that it started, and start it again. Raises as `Supervisor.restart` does."""
        self._supervisor.restart(name)

    def is_ready(self, name: str) -> bool:
        """Whether the process of that name says that it is ready."""
        return self._supervisor.is_ready(name)

    def builder(self) -> psutil.Process | None:
        """The process of Dagster's run that has the warehouse open now; the one that waits for its turn has not."""
        warehouse = str(self.settings.warehouse_path.resolve())
        runners = [name for name in RUNNERS if name in self._supervisor.names]
        for process in [each for name in runners for each in self._supervisor.descendants(name)]:
            try:
                if any(file.path == warehouse for file in process.open_files()):
                    return process
            except psutil.Error:  # it ended meanwhile
                continue
        return None

    def modelled_builds(self) -> int:
        """The number of the last build whose models are done; 0 before the first."""
        progress = read_progress(self.settings)
        return 0 if progress is None else progress.build_seq

    def keep_up(self) -> None:
        """Stay until interrupted. Raises ProcessDiedError when a process ends."""
        while True:
            self._supervisor.check()
            time.sleep(1)

    def resident_bytes(self) -> int:
        """Resident memory of all processes, this one included."""
        return self._supervisor.resident_bytes() + int(psutil.Process().memory_info().rss)

    def _start_broker(self) -> None:
        """Start Kafka; where there is none to be had the mock, which lives in this process."""
        try:
            find_java()
            ensure_kafka()
        except BrokerUnavailableError as reason:
            self._mock = MockBroker.start(str(reason))
            self.settings = with_changes(self.settings, "kafka", bootstrap_servers=self._mock.bootstrap_servers)
            self._console.print(f"[bold red]NO KAFKA BROKER:[/] a mock that keeps nothing stands in. {reason}", soft_wrap=True)
            return
        self._supervisor.start(broker_spec(self.settings))


def broker_spec(settings: Settings) -> ProcessSpec:
    """The broker; ready when its port is open, which Kafka does last."""
    host, _, port = settings.kafka.bootstrap_servers.rpartition(":")
    return command_spec(settings, "broker", ["broker"], lambda: is_listening(host, int(port)))


def serving_specs(settings: Settings) -> list[ProcessSpec]:
    """The API, the pages and the dbt docs; each is ready when it answers."""
    api, pages, docs = settings.api, settings.pages, settings.docs
    return [
        command_spec(settings, "api", ["api"], lambda: is_answering(api.host, api.port, "/health")),
        command_spec(settings, "pages", ["pages"], lambda: is_answering(pages.host, pages.port, "/_stcore/health")),
        command_spec(settings, "dbt-docs", ["docs", "serve"], lambda: is_answering(docs.host, docs.port, "/")),
    ]


def command_spec(settings: Settings, name: str, arguments: list[str], is_ready: Callable[[], bool] = lambda: True) -> ProcessSpec:
    """`tickhouse <arguments>` as a process under exactly these settings."""
    environment = {**process_environment(), **as_environment(settings)}
    return ProcessSpec(name, [sys.executable, "-m", "apps.cli", *arguments], environment, is_ready)
