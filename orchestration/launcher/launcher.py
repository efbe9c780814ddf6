"""A run launcher for `dagster.yaml`: it asks the warm process for a fork, and launches as Dagster does when there is none."""

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster import DagsterRun, Field, StringSource
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value

from orchestration.launcher.wire import PROTOCOL, READY, receive, send, socket_path
from orchestration.launcher.worker import TAG, Worker

GREETING_SECONDS = 0.5
"""A warm process that is busy for longer is not waited for: nothing was asked of it yet."""

ANSWER_SECONDS = 20.0


class NotWarmError(Exception):
    """The warm process took nothing over: the run may be launched another way."""


class WarmRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, but for where a run's process comes from.

    `launcher` is `warm`, or `stock`: then it is the default launcher and nothing else.
    """

    def __init__(self, launcher: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._launcher = launcher

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"launcher": Field(StringSource, default_value="warm", description="warm, or stock for Dagster's own way.")}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """See `RunLauncher`. Raises DagsterLaunchFailedError when it is not known whether the run began."""
        run = context.dagster_run
        if self._launcher == "warm":
            try:
                self._fork(run)
            except NotWarmError as reason:
                self._instance.report_engine_event(f"Started cold: {reason}.", run, cls=type(self))
            else:
                self._run_ids.add(run.run_id)
                return
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """See `RunLauncher`: the run's process is interrupted, as Ctrl-C would, and its steps clean up."""
        run = self._instance.get_run_by_id(run_id)
        worker = None if run is None or run.is_finished else _worker(run)
        if run is None or worker is None:
            return super().terminate(run_id)
        self._instance.report_run_canceling(run)
        if not worker.is_alive:
            self._instance.report_engine_event(f"The run's process {worker.pid} is gone.", run, cls=type(self))
            return False
        os.kill(worker.pid, signal.SIGINT)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """See `RunLauncher`. A run that started cold is watched by the code server, as ever."""
        worker = _worker(run)
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "started cold, and watched by the code server")
        identity = str(worker.pid)
        if worker.is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=identity)
        why = "is gone" if worker.is_of_this_boot else "was of this machine before it was started anew"
        return CheckRunHealthResult(WorkerStatus.FAILED, f"the run's process {worker.pid} {why}", run_worker_id=identity)

    def _fork(self, run: DagsterRun) -> None:
        """Have the run executed by a fork. Raises NotWarmError when nothing was asked, else DagsterLaunchFailedError."""
        if run.job_code_origin is None:
            raise NotWarmError("the run does not say where its code is")
        arguments = ExecuteRunArgs(
            job_origin=run.job_code_origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        with socket.socket(socket.AF_UNIX) as connection:
            _greet(connection, Path(self._instance.root_directory))
            try:
                connection.settimeout(ANSWER_SECONDS)
                send(connection, {"run_id": run.run_id, "arguments": serialize_value(arguments)})
                answer = receive(connection)
            except (OSError, EOFError, ValueError) as reason:
                raise DagsterLaunchFailedError(
                    f"The warm process was asked for this run and did not answer ({reason!r}): it may have begun, so it is not "
                    "started a second time. What it was to do is taken up by the next run."
                ) from reason
        if refusal := answer.get("refused"):
            raise NotWarmError(refusal)


def _greet(connection: socket.socket, home: Path) -> None:
    """Connect, and go on only when the warm process says that it is ready."""
    try:
        connection.settimeout(GREETING_SECONDS)
        connection.connect(str(socket_path(home)))
        greeting = receive(connection)
    except (OSError, EOFError, ValueError) as reason:
        raise NotWarmError(f"the warm process does not answer ({reason!r})") from reason
    if greeting.get("protocol") != PROTOCOL:
        raise NotWarmError("the warm process is of another version")
    if greeting.get("state") != READY:
        raise NotWarmError(f"the warm process is not ready: {greeting.get('state')}")


def _worker(run: DagsterRun) -> Worker | None:
    text = run.tags.get(TAG)
    return None if text is None else Worker.of_tag(text)
