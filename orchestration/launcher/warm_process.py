"""The warm process: it imports everything once, and forks a process for each run that the launcher asks for.

It has one thread and no database open, and does not serve otherwise. Killed, it leaves the runs it forked alone; the supervisor
starts another. When a source is another it begins anew in place, with its number, its socket and its children.
"""

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import structlog

from orchestration.launcher.fork import fork_report, fork_run
from orchestration.launcher.sources import stamps
from orchestration.launcher.warming import unsafe_to_fork, warm_up
from orchestration.launcher.wire import PROTOCOL, READY, receive, send, socket_path
from tickhouse.logging import configure_logging
from tickhouse.settings import load_settings

LOOK_SECONDS = 1.0
CLIENT_SECONDS = 2.0

log = structlog.get_logger(__name__)


class WarmProcess:
    """Serves on `listener`, with `workers` (the arguments of each run by the number of its process) begun already."""

    def __init__(self, listener: socket.socket, lock: int, workers: dict[int, str]) -> None:
        self._listener, self._lock, self._workers = listener, lock, workers
        self._is_ending = False
        self._woken, self._wake = os.pipe()
        self._stamps = stamps()  # before anything is imported: a change meanwhile is seen
        self._state = READY

    def warm_up(self) -> None:
        """Become ready, or say why not."""
        begun = time.monotonic()
        try:
            warm_up(load_settings())
        except Exception:
            traceback.print_exc()
            self._state = "it could not import what a run needs; its log says why"
        else:
            self._state = self._how_it_is()
            log.info("warm", seconds=round(time.monotonic() - begun, 1), state=self._state)

    def serve(self) -> None:
        """Fork what is asked for until SIGTERM or SIGINT; runs that go on then are left alone."""
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        while not self._is_ending:
            readable, _, _ = select.select([self._listener, self._woken], [], [], LOOK_SECONDS)
            with suppress(BlockingIOError):
                os.read(self._woken, 4096)
            self._reap()
            if self._listener in readable:
                self._answer()
            elif stamps() != self._stamps:
                self._begin_anew()

    def _end(self, *_: object) -> None:
        self._is_ending = True

    def _how_it_is(self) -> str:
        return READY if (harm := unsafe_to_fork()) is None else f"it cannot fork: {harm}"

    def _answer(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(CLIENT_SECONDS)
            is_stale = stamps() != self._stamps
            state = "its sources are others now" if is_stale else self._state
            with suppress(OSError, EOFError, ValueError):  # whoever went away before it asked has asked for nothing
                send(connection, {"protocol": PROTOCOL, "state": state})
                if state == READY:
                    self._launch(connection, receive(connection))
        if is_stale:
            self._begin_anew()

    def _launch(self, connection: socket.socket, request: dict[str, str]) -> None:
        self._state = self._how_it_is()
        if self._state != READY:
            log.error("no fork", state=self._state)
            send(connection, {"refused": self._state})
            return
        pid = fork_run(request["arguments"], lambda: self._close(connection))
        self._workers[pid] = request["arguments"]
        send(connection, {"pid": pid})

    def _close(self, connection: socket.socket) -> None:
        """In a fork: what is this process' alone."""
        signal.set_wakeup_fd(-1)
        connection.close()
        self._listener.close()
        for descriptor in (self._lock, self._woken, self._wake):
            os.close(descriptor)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            arguments = self._workers.pop(pid, None)
            code = os.waitstatus_to_exitcode(status)
            if arguments is not None and code != 0:
                fork_report(arguments, pid, code)

    def _begin_anew(self) -> None:
        log.info("sources changed: beginning anew")
        signal.set_wakeup_fd(-1)
        for descriptor in (self._listener.fileno(), self._lock):
            os.set_inheritable(descriptor, True)
        handed = json.dumps({"listener": self._listener.fileno(), "lock": self._lock, "workers": self._workers})
        os.execv(sys.executable, [sys.executable, "-m", "orchestration.launcher", handed])


def run_warm_process(handed: str | None) -> None:
    """Serve the Dagster home of this machine's settings. `handed` is what the process held before it began anew."""
    settings = load_settings()
    configure_logging(settings)
    if handed is None:
        process = WarmProcess(*_listen(settings.dagster_home), workers={})
    else:
        held = json.loads(handed)
        workers = {int(pid): arguments for pid, arguments in held["workers"].items()}
        process = WarmProcess(socket.socket(fileno=held["listener"]), held["lock"], workers)
    process.warm_up()
    process.serve()


def _listen(home: Path) -> tuple[socket.socket, int]:
    """A socket for this user alone, and the lock by which there is one such process a home. Raises RuntimeError."""
    path = socket_path(home)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"another warm process serves {home}: end it first") from None
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen()
    return listener, lock
