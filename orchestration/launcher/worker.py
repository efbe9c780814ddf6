"""The process that executes a run, told from every other that ever had its number: a tag of the run."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

TAG = ".dagster/tickhouse_worker"

_STARTED, _STATE = 19, 0
"""Fields of /proc/<pid>/stat after the command's closing bracket: see proc(5)."""


@dataclass(frozen=True)
class Worker:
    """A process by its number, the clock tick of this boot at which it started, and the boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process of that number; None when there is none, or only what is left of it."""
        started = _started(pid)
        return None if started is None else cls(pid, started, _boot())

    @classmethod
    def present(cls) -> Self:
        """This process."""
        worker = cls.of(os.getpid())
        assert worker is not None
        return worker

    @classmethod
    def of_tag(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def tag(self) -> str:
        return json.dumps(asdict(self))

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot == _boot()

    @property
    def is_alive(self) -> bool:
        return self.is_of_this_boot and _started(self.pid) == self.started


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else int(fields[_STARTED])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
