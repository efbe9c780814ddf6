"""Ingestors and compactors as processes, forked from one that has imported everything, so that a round may kill many."""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from crash.points import Trap, lay

from ingestion import group, ingestor
from ingestion.chain.compaction import ArchiveSize, compact
from tickhouse.settings import Settings, as_environment, load_settings
from tickhouse.storage import open_storage

SECONDS = 30.0
KILLED = -signal.SIGKILL
SESSION_SECONDS = 1.0
"""The least that the broker allows (`group.min.session.timeout.ms`): a dead or frozen ingestor's partitions wait so long."""

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_FORKS = multiprocessing.get_context("forkserver")


def prepare_to_fork() -> None:
    """Start the process that ingestors are forked from. It ends with this one, and they with it."""
    _FORKS.set_forkserver_preload([__name__, "crash.warm"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    multiprocessing.forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def die_with_parent() -> None:
    """However the parent ends, this process is killed by the kernel then, also when it is frozen."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


class Worker:
    """A process that does `work` under `settings`, with a trap laid or none. What it says goes to `log`."""

    started = ""
    """What it says once it can be told to end."""

    def __init__(self, work: Callable[[], int], settings: Settings, log: Path, trap: Trap | None = None) -> None:
        self.log = log
        self.trap = trap
        log.touch()
        self._process = _FORKS.Process(target=_run, args=(work, as_environment(settings), log, trap), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives, frozen or not; KILLED after SIGKILL."""
        return self._process.exitcode

    @property
    def is_frozen(self) -> bool:
        assert self.exit_code is None, f"process {self.pid} ended with {self.exit_code}, trap: {self.trap}\n{self.told()}"
        status = Path(f"/proc/{self.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        self._process.kill()
        self._process.join(SECONDS)

    def end(self) -> int:
        """The exit code after SIGTERM, which it can take once it has started."""
        self.wait_until_told(self.started)
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self, seconds: float = SECONDS) -> int:
        """The exit code, once it has ended."""
        self._process.join(seconds)
        assert self.exit_code is not None, f"process {self.pid} lives on, trap: {self.trap}\n{self.told()}"
        return self.exit_code

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        self.wait_until_frozen()

    def wait_until_frozen(self) -> None:
        wait_until(lambda: self.is_frozen, lambda: f"process {self.pid} frozen, trap: {self.trap}\n{self.told()}")

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def has_told(self, text: str) -> bool:
        """Whether its log has the text."""
        return text in self.log.read_text(errors="replace")

    def wait_until_told(self, text: str) -> None:
        wait_until(lambda: self.has_told(text), lambda: f"{text} in the log\n{self.told()}")

    def told(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join([f"The end of {self.log}:", *self.log.read_text(errors="replace").splitlines()[-lines:]])


def wait_until(holds: Callable[[], bool], what: Callable[[], str], seconds: float = SECONDS) -> None:
    """Return once `holds()`; fail with `what()` was waited for when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what()}"
        time.sleep(0.02)


class Ingestor(Worker):
    """`python -m ingestion.ingestor`, but for the session's length."""

    started = "ingestor started"

    def __init__(self, settings: Settings, log: Path, trap: Trap | None = None) -> None:
        super().__init__(ingestor.main, settings, log, trap)


class Compactor(Worker):
    """Compacts the lake over and over, every slot there is, a few to an archive."""

    started = "compactor started"

    def __init__(self, settings: Settings, log: Path, trap: Trap | None = None) -> None:
        super().__init__(_compact_on, settings, log, trap)


def _compact_on() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sys.stderr.write(f"{Compactor.started}\n")
    sys.stderr.flush()
    storage = open_storage(load_settings())
    while not stop.wait(0.05):
        compact(storage, ArchiveSize(slots=5, is_partial=True))
    return 0


def _run(work: Callable[[], int], environment: dict[str, str], log: Path, trap: Trap | None) -> None:
    """What the forked process does."""
    die_with_parent()
    with log.open("ab", buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    faulthandler.enable()
    os.environ.update(environment)
    group.SESSION_SECONDS = SESSION_SECONDS
    if trap is not None:
        lay(trap)
    sys.exit(work())
