"""What the launcher hands over, and to whom; what a process must not have that forks."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import duckdb
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext

from orchestration.launcher import launcher as launching
from orchestration.launcher.launcher import WarmRunLauncher
from orchestration.launcher.warming import unsafe_to_fork
from orchestration.launcher.wire import PROTOCOL, READY, receive, send, socket_path
from orchestration.launcher.worker import Worker


@dg.job
def nothing() -> None:
    """A run needs a job."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@contextmanager
def warm_process(home: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Answers one connection as `serve` does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(socket_path(home)))
    listener.listen()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            serve(connection)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        listener.close()


def launch(instance: dg.DagsterInstance, name: str = "warm") -> list[str]:
    """Launch a run; what stock launches came of it, and what Dagster was told."""
    launcher = WarmRunLauncher(name)
    launcher.register_instance(instance)
    pointer = ModuleCodePointer(__name__, "nothing", os.getcwd())
    origin = ReconstructableRepository(pointer).get_reconstructable_job("nothing").get_python_origin()
    run = instance.create_run_for_job(nothing, job_code_origin=origin)
    said: list[str] = []
    with patch.object(DefaultRunLauncher, "launch_run", lambda *_: said.append("stock")):
        launcher.launch_run(LaunchRunContext(run, workspace=None))
    return said + [entry.message for entry in instance.all_logs(run.run_id) if "Started cold" in entry.message]


def greet(connection: socket.socket, state: str = READY) -> None:
    send(connection, {"protocol": PROTOCOL, "state": state})


def test_a_run_that_the_warm_process_takes_is_launched_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    asked = []

    def serve(connection: socket.socket) -> None:
        greet(connection)
        asked.append(receive(connection))
        send(connection, {"pid": 1})

    with warm_process(tmp_path, serve):
        assert launch(instance) == []
    assert json.loads(asked[0]["arguments"])["set_exit_code_on_failure"] is True


@pytest.mark.parametrize("state", ["it cannot fork: it has other threads: python", "its sources are others now"])
def test_where_the_warm_process_is_not_ready_the_run_starts_cold_and_says_why(
    instance: dg.DagsterInstance, tmp_path: Path, state: str
) -> None:
    with warm_process(tmp_path, lambda connection: greet(connection, state)):
        stock, said = launch(instance)
    assert stock == "stock"
    assert state in said


def test_without_a_warm_process_runs_start_cold(instance: dg.DagsterInstance) -> None:
    stock, said = launch(instance)
    assert (stock, "does not answer" in said) == ("stock", True)


def test_a_launcher_that_was_not_greeted_in_time_has_asked_for_nothing(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "GREETING_SECONDS", 0.1)
    heard, gone = [], threading.Event()

    def serve(connection: socket.socket) -> None:
        gone.wait(20)
        try:
            greet(connection)
            heard.append(receive(connection))
        except (OSError, EOFError):
            heard.append("nothing")

    with warm_process(tmp_path, serve):
        assert launch(instance)[0] == "stock"
        gone.set()
    assert heard == ["nothing"]


def test_a_request_whose_answer_is_lost_is_not_launched_another_way(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        greet(connection)
        receive(connection)

    with warm_process(tmp_path, serve), pytest.raises(DagsterLaunchFailedError, match="may have begun"):
        launch(instance)


def test_the_switch_leaves_everything_to_dagster(instance: dg.DagsterInstance) -> None:
    assert launch(instance, "stock") == ["stock"]


def test_a_process_is_another_when_it_started_at_another_time() -> None:
    here = Worker.present()
    assert here.is_alive
    assert not replace(here, started=here.started - 1).is_alive
    assert not replace(here, boot="before").is_alive
    assert Worker.of_tag(here.tag()) == here


def test_a_process_that_ended_is_not_alive_before_it_is_reaped_either() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert Worker.of(pid) is None
    os.waitpid(pid, 0)


def in_a_process(work: Callable[[], object]) -> str:
    """What the guard says of a process with one thread that did this: pytest's own has others."""
    end, other = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = work()
            os.write(other, (unsafe_to_fork() or "safe").encode())
            del kept
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(other)
    with os.fdopen(end) as said:
        return said.read()


def test_a_process_with_another_thread_does_not_fork() -> None:
    def start() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    assert in_a_process(start).startswith("it has other threads")


def test_a_process_with_an_open_database_does_not_fork(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    assert str(path) in in_a_process(lambda: duckdb.connect(str(path), config={"threads": 1}))


def test_a_process_that_has_closed_its_databases_and_ended_its_threads_may_fork(tmp_path: Path) -> None:
    def write() -> None:
        with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
            connection.execute("create table t as from range(1000000)")

    assert in_a_process(write) == "safe"


def test_a_home_whose_path_is_too_long_for_a_socket_has_it_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    assert len(str(socket_path(deep))) < 100
    assert socket_path(deep) != socket_path(deep / "y")
    assert socket_path(Path("/h")) == Path("/h/warm.sock")
