"""Starts processes, waits until they are ready, notices a dead one, and ends them all, whatever happens to itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from apps.cli.reaper import end_marked, marked_processes

POLL_SECONDS = 0.1
TAIL_LINES = 20
DISPENSABLE_SECONDS = 60.0
REVIVAL_SECONDS = 2.0
"""What ends sooner than this after its start is not started again at once: it would do nothing else."""


class ProcessDiedError(RuntimeError):
    """A process ended unasked; the message holds its exit code and the end of its log."""


class NotReadyError(RuntimeError):
    """A process runs but did not become ready in time; the message holds the end of its log."""


@dataclass(frozen=True)
class ProcessSpec:
    """What to run. `is_ready` is asked again and again; it must return soon and not raise."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] = lambda: True
    is_dispensable: bool = False
    """Whether it is started again when it ends, instead of ending everything: what it had started goes on meanwhile."""


class Supervisor:
    """The processes one command started, each in a session of its own, its output in `<log_path>/<name>.log`.

    All carry a mark in their environment that whatever they start inherits: by it their descendants are found and
    ended too, also those that left their session. A reaper does the same when this process is killed.
    """

    def __init__(self, log_path: Path, grace_seconds: float = 8.0) -> None:
        self.log_path = log_path
        self._grace_seconds = grace_seconds
        self._marker = f"SUPERVISED_{uuid.uuid4().hex}"
        self._processes: dict[str, tuple[ProcessSpec, subprocess.Popen[bytes]]] = {}
        self._started: dict[str, float] = {}
        self._reaper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.log_path.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "apps.cli.reaper", self._marker]
        self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def names(self) -> tuple[str, ...]:
        """What was started, in that order."""
        return tuple(self._processes)

    def start(self, spec: ProcessSpec) -> None:
        """Start it; do not wait. Raises OSError when the command cannot be run."""
        with self.log_file(spec.name).open("ab") as output:
            process = subprocess.Popen(
                spec.command,
                env={**spec.environment, self._marker: spec.name},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[spec.name] = (spec, process)
        self._started[spec.name] = time.monotonic()

    def restart(self, name: str) -> None:
        """Kill it (SIGKILL) with all that it started, and start it again; do not wait until it is ready.

        Raises ProcessDiedError when it, or another, ended by itself.
        """
        self.check()
        spec, process = self._processes[name]
        while marked := marked_processes(self._marker, name):
            for each in marked:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.poll()
            time.sleep(POLL_SECONDS / 10)
        process.wait()
        self.start(spec)

    def is_ready(self, name: str) -> bool:
        """Whether it says that it is ready; for what is dispensable nobody waits for ever."""
        spec, _process = self._processes[name]
        is_given_up = spec.is_dispensable and time.monotonic() - self._started[name] > DISPENSABLE_SECONDS
        return is_given_up or spec.is_ready()

    def pid(self, name: str) -> int:
        """The number of its process."""
        _spec, process = self._processes[name]
        return process.pid

    def descendants(self, name: str) -> list[psutil.Process]:
        """What it started and what these did, as far as their parents live."""
        _spec, process = self._processes[name]
        try:
            return psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def wait_ready(self, name: str, timeout_seconds: float) -> None:
        """Return when the process says it is ready. Raises ProcessDiedError (also another's) or NotReadyError."""
        deadline = time.monotonic() + timeout_seconds
        while not self.is_ready(name):
            self.check()
            if time.monotonic() > deadline:
                raise NotReadyError(f"{name} was not ready after {timeout_seconds:.0f} s{self._tail(name)}")
            time.sleep(POLL_SECONDS)

    def are_ready(self) -> bool:
        """Whether everything started says that it is ready."""
        return all(self.is_ready(name) for name in self._processes)

    def check(self) -> None:
        """Start again what is dispensable and ended. Raises ProcessDiedError naming the first other process that did."""
        for name, (spec, process) in list(self._processes.items()):
            if (code := process.poll()) is None:
                continue
            if not spec.is_dispensable:
                raise ProcessDiedError(f"{name} ended unasked ({_exit_text(code)}){self._tail(name)}")
            if time.monotonic() - self._started[name] > REVIVAL_SECONDS:
                self.start(spec)

    def resident_bytes(self) -> int:
        """Resident memory of everything started, descendants included; pages that processes share count once each."""
        total = 0
        for process in marked_processes(self._marker):
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total

    def stop(self) -> None:
        """End all at once, but for the first, which the others use until they end: SIGTERM, after the grace SIGKILL; then what
        they left behind.

        Interrupted (a second Ctrl-C), the rest are killed at once.
        """
        processes = [process for _spec, process in self._processes.values()]
        try:
            for together in (processes[1:], processes[:1]):
                _end_groups(together, self._grace_seconds)
            end_marked(self._marker)
        except KeyboardInterrupt:
            end_marked(self._marker, grace_seconds=0)
        finally:
            for _spec, process in self._processes.values():
                process.wait()
            self._processes.clear()
            self._dismiss_reaper()

    def log_file(self, name: str) -> Path:
        return self.log_path / f"{name}.log"

    def _dismiss_reaper(self) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait()
            self._reaper = None

    def _tail(self, name: str) -> str:
        lines = self.log_file(name).read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([f". The end of {self.log_file(name)}:", *lines]) if lines else f"; {self.log_file(name)} is empty"


def _end_groups(processes: Sequence[subprocess.Popen[bytes]], grace_seconds: float) -> None:
    going = [process for process in processes if process.poll() is None]
    for process in going:
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    for process in going:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _exit_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
