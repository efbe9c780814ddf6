"""What every measured program is told, and measures; the standard library alone, for environments that have no more."""

from __future__ import annotations

import json
import os
import resource
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Self, get_type_hints


class Arguments:
    """A dataclass of values that one program hands to another on its command line."""

    @classmethod
    def from_arguments(cls) -> Self:
        parser = ArgumentParser()
        for name, kind in get_type_hints(cls).items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
        return cls(**vars(parser.parse_args()))

    def as_arguments(self) -> list[str]:
        return [f"--{name.replace('_', '-')}={getattr(self, name)}" for name in get_type_hints(type(self))]


class Meter:
    """Wall time and this process's processor time, children included, between two moments."""

    def start(self) -> None:
        """Call before the first message, or row."""
        self._started = time.perf_counter(), _cpu_seconds()

    def stop(self) -> None:
        """Call after the last, when it is where it was to go."""
        stopped = time.perf_counter(), _cpu_seconds()
        self.seconds, self.cpu_seconds = (end - start for start, end in zip(self._started, stopped, strict=True))

    def answer(self, count: int, more: Mapping[str, float] | None = None, of: str = "message") -> None:
        """Print the figures, of so many messages or whatever `of` names, for whoever started this process."""
        rate, cpu = count / self.seconds, self.cpu_seconds / count * 1e6
        print(json.dumps({f"{of}s/s": rate, f"CPU µs/{of}": cpu, **(more or {})}), flush=True)


def peak_bytes() -> int:
    """The most memory this process had resident since it started its program.

    Linux hands `ru_maxrss` down from the process that started this one, so its own high-water mark is asked first.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    kilobyte = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte


def _cpu_seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)
