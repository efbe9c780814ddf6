"""Runs forked from a warm process are ordinary runs, however they end, and whatever becomes of the process they came from."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext
from dagster._core.launcher.base import WorkerStatus
from dagster._utils.concurrency import ClaimedSlotInfo
from lake import Lake, bar
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove

import orchestration.launcher
from apps.cli.start import with_changes
from orchestration.assets.validation import KEY as VALIDATED_SLOT
from orchestration.definitions import loaded_definitions
from orchestration.instance import open_instance
from orchestration.launcher.fork import keep_connections
from orchestration.launcher.launcher import WarmRunLauncher
from orchestration.launcher.wire import READY, receive, socket_path
from orchestration.launcher.worker import TAG, Worker
from orchestration.processes import dagster_processes, prepare_home
from orchestration.resources import WAREHOUSE
from tickhouse.settings import Settings, as_environment
from transform.build_lock import build_lock
from transform.snapshot.manifest import latest_manifest

SECONDS = 60.0


@dataclass
class Home:
    """A Dagster home, its lake, and the warm process that serves it."""

    settings: Settings
    instance: dg.DagsterInstance
    lake: Lake
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def warm(self) -> subprocess.Popen[bytes]:
        return self.processes[-1]

    @property
    def launcher(self) -> WarmRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, WarmRunLauncher)
        return launcher

    def start(self) -> None:
        """Start the warm process; returns when it is ready."""
        (spec,) = [each for each in dagster_processes(self.settings) if each.name == "dagster-warm"]
        with (self.settings.data_dir / "warm.log").open("ab") as log:
            process = subprocess.Popen(spec.command, env=dict(spec.environment), stdout=log, stderr=log)
        self.processes.append(process)
        wait_for(self.is_ready)

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            try:
                connection.connect(str(socket_path(self.settings.dagster_home)))
                return receive(connection)["state"] == READY
            except (OSError, EOFError):
                return False

    def launch(self, job_name: str = "build") -> str:
        """Launch a run of this job by the warm launcher; its id."""
        pointer = ModuleCodePointer("orchestration.definitions", "definitions", os.getcwd())
        origin = ReconstructableRepository(pointer).get_reconstructable_job(job_name).get_python_origin()
        job = loaded_definitions().get_repository_def().get_job(job_name)
        run = self.instance.create_run_for_job(job, job_code_origin=origin, status=dg.DagsterRunStatus.STARTING)
        self.launcher.launch_run(LaunchRunContext(run, workspace=None))
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def worker(self, run_id: str) -> Worker:
        wait_for(lambda: TAG in self.run(run_id).tags)
        return Worker.of_tag(self.run(run_id).tags[TAG])

    def end(self, run_id: str) -> dg.DagsterRunStatus:
        wait_for(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status

    def pool_slots(self) -> list[ClaimedSlotInfo]:
        return self.instance.event_log_storage.get_concurrency_info(WAREHOUSE).claimed_slots

    def said(self, run_id: str) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run_id))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, parsed_dbt: Path) -> Iterator[Home]:
    """With its records in Postgres, where steps wait for their turn; a demo has them in SQLite."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("warm"), _env_file=None)
    settings = with_changes(settings, "dagster", postgres_url_variable="RECORDS_URL")
    shutil.copytree(parsed_dbt, settings.dbt_target_path)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RECORDS_URL", postgres_url)
        for name, value in as_environment(settings).items():
            environment.setenv(name, value)
        prepare_home(settings)
        with open_instance(settings) as instance:
            made = Home(settings, instance, Lake(settings))
            try:
                made.start()
                yield made
            finally:
                for process in made.processes:
                    process.kill()
                    process.wait()


@contextmanager
def waiting_build(home: Home) -> Iterator[str]:
    """The id of a build that waits for its turn within the block."""
    with build_lock(home.settings):
        run_id = home.launch()
        wait_for(lambda: "waiting until it lets" in home.said(run_id))
        yield run_id


def test_a_forked_run_builds_and_publishes_and_says_what_every_run_says(home: Home) -> None:
    home.lake.land([bar("A", day, 100.0) for day in range(3)])
    run_id = home.launch()
    assert home.end(run_id) == dg.DagsterRunStatus.SUCCESS, home.said(run_id)
    assert "Started process for run (pid: " in home.said(run_id)
    newest = latest_manifest(home.lake.storage)
    assert newest is not None
    assert newest.balance.current == 3
    assert home.worker(run_id).pid != home.warm.pid
    wait_for(lambda: not home.worker(run_id).is_alive)


def test_a_build_that_waits_for_its_turn_takes_what_lands_until_then(home: Home) -> None:
    with waiting_build(home) as run_id:
        home.lake.land([bar("B", day, 100.0) for day in range(2)])
    assert home.end(run_id) == dg.DagsterRunStatus.SUCCESS, home.said(run_id)
    validated = home.instance.get_latest_materialization_event(VALIDATED_SLOT)
    assert validated is not None
    assert (validated.run_id, validated.asset_materialization.metadata["rows"].value) == (run_id, 2)


def test_a_run_connects_to_postgres_once_and_not_for_each_event(home: Home) -> None:
    job = loaded_definitions().get_repository_def().get_job("build")
    connected: list[object] = []
    with open_instance(home.settings) as instance:
        keep_connections(instance)
        run = instance.create_run_for_job(job)
        listen(Engine, "connect", count := lambda connection, _: connected.append(connection))
        try:
            for number in range(20):
                instance.report_engine_event(f"event {number}", run)
        finally:
            remove(Engine, "connect", count)
    assert len(connected) <= 2, "one for events, one for runs"


def test_a_run_is_seen_to_be_alive_and_terminated_as_canceled(home: Home) -> None:
    with waiting_build(home) as run_id:
        assert home.launcher.check_run_worker_health(home.run(run_id)).status == WorkerStatus.RUNNING
        assert home.launcher.terminate(run_id)
        assert home.end(run_id) == dg.DagsterRunStatus.CANCELED
    assert not home.launcher.terminate(run_id), "what has ended is not terminated again"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_run_that_crashes_fails_with_dagsters_own_words_and_lets_its_pool_go(home: Home, number: signal.Signals) -> None:
    with build_lock(home.settings):
        run_id = home.launch("full_refresh")
        wait_for(lambda: [slot.run_id for slot in home.pool_slots()] == [run_id])
        os.kill(home.worker(run_id).pid, number)
        assert home.end(run_id) == dg.DagsterRunStatus.FAILURE
    wait_for(lambda: not home.pool_slots())
    assert f"was terminated by signal {number.value} ({number.name})" in home.said(run_id)
    health = home.launcher.check_run_worker_health(home.run(run_id))
    assert health.status == WorkerStatus.FAILED


def test_a_source_that_changed_has_the_process_begin_anew_under_its_number(home: Home) -> None:
    os.utime(Path(orchestration.launcher.__path__[0]) / "__init__.py")
    log = home.settings.data_dir / "warm.log"
    wait_for(lambda: "beginning anew" in log.read_text())
    wait_for(home.is_ready)
    assert home.warm.poll() is None
    home.lake.land([bar("A", 3, 100.0)])
    assert home.end(home.launch()) == dg.DagsterRunStatus.SUCCESS


def test_when_the_warm_process_is_killed_its_runs_go_on_and_the_next_starts_cold(home: Home) -> None:
    home.lake.land([bar("A", 4, 100.0)])
    with build_lock(home.settings):
        going = home.launch()
        home.worker(going)
        home.warm.kill()
        home.warm.wait()
        with pytest.raises(dg.DagsterInvariantViolationError, match="DefaultRunLauncher requires a workspace"):
            home.launch()  # the stock way, for which this test has no code server
    assert home.end(going) == dg.DagsterRunStatus.SUCCESS
    cold = next(run for run in home.instance.get_runs() if run.run_id != going)
    assert "Started cold: the warm process does not answer" in home.said(cold.run_id)
