"""The places at which a process is killed or frozen, and the trap that does it: laid from outside, at the calls themselves."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestion import group
from ingestion.chain import put
from tickhouse.storage.base import TEMPORARY

WRITING = ("mid-write", "before-fsync", "after-fsync", "before-link", "after-link", "before-unlink")
COMMITTING = "before-commit"
REBALANCING = ("in-assign", "in-revoke")
DELETING = "before-delete"


@dataclass(frozen=True)
class Trap:
    """Sends this process `signal` at its `arrival`-th (from 1) coming to `point`.

    Of the points of writing and deleting only those count that are about a file below a folder `area` of the lake.
    """

    point: str
    arrival: int = 1
    area: str = "landing"
    signal: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        return (
            f"{self.point} {self.arrival} in {self.area}"
            if self.point in (*WRITING, DELETING)
            else f"{self.point} {self.arrival}"
        )


class Tripwire:
    """Counts arrivals at the trap's point, in whichever threads, and springs it once."""

    def __init__(self, trap: Trap) -> None:
        self.trap = trap
        self._arrivals = 0
        self._lock = threading.Lock()

    def arrive(self, point: str) -> None:
        if point != self.trap.point:
            return
        with self._lock:
            self._arrivals += 1
            if self._arrivals == self.trap.arrival:
                os.kill(os.getpid(), self.trap.signal)

    def arrive_at(self, point: str, path: Any) -> None:
        """Arrive if `path` is in the trap's area, and a write in progress; or none, if `point` is the one of deleting."""
        path = Path(os.fsdecode(path))
        is_right = path.name.startswith(TEMPORARY) == (point != DELETING)
        if is_right and self.trap.area in path.parts:
            self.arrive(point)


def lay(trap: Trap) -> None:
    """Lay the trap in this process; whatever imports the calls in question, as `ingestion.ingestor` does, is imported by now."""
    wire = Tripwire(trap)
    _lay_in_writing(wire)
    _lay_in_committing(wire)
    _lay_in_rebalancing(wire)


def _lay_in_writing(wire: Tripwire) -> None:
    fsync, link, unlink, open_file = os.fsync, os.link, os.unlink, io.open

    def trapped_open(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        opened = open_file(file, mode, *rest, **named)
        is_ours = wire.trap.point == "mid-write" and "x" in mode and Path(os.fsdecode(file)).name.startswith(TEMPORARY)
        return _TornFile(opened, lambda: wire.arrive_at("mid-write", file)) if is_ours else opened

    def trapped_fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        wire.arrive_at("before-fsync", path)
        fsync(descriptor)
        wire.arrive_at("after-fsync", path)

    def trapped_link(source: Any, target: Any, **named: Any) -> None:
        wire.arrive_at("before-link", source)
        link(source, target, **named)
        wire.arrive_at("after-link", source)

    def trapped_unlink(path: Any, **named: Any) -> None:
        wire.arrive_at("before-unlink", path)
        wire.arrive_at(DELETING, path)
        unlink(path, **named)

    io.open, os.fsync, os.link, os.unlink = trapped_open, trapped_fsync, trapped_link, trapped_unlink  # type: ignore[assignment]


class _TornFile:
    """A file that calls `midway` when half of what is written is with the operating system."""

    def __init__(self, file: Any, midway: Callable[[], None]) -> None:
        self._file = file
        self._midway = midway

    def write(self, data: bytes) -> int:
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._midway()
        self._file.write(data[half:])
        return len(data)

    def __enter__(self) -> _TornFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _lay_in_committing(wire: Tripwire) -> None:
    tell = group.tell

    def trapped_tell(*given: Any) -> None:
        wire.arrive(COMMITTING)
        tell(*given)

    _replace(tell, trapped_tell)


def _lay_in_rebalancing(wire: Tripwire) -> None:
    """An assignment is arrived at when it begins, at each chain's end that is found in it, and when it is done; a
    revocation when it begins, at each slot that is put in it, and when it is done."""
    within: list[str] = []

    def trapped(callback: Callable[..., None], point: str) -> Callable[..., None]:
        def trapped_callback(*given: Any) -> None:
            wire.arrive(point)
            within.append(point)
            callback(*given)
            within.remove(point)
            wire.arrive(point)

        return trapped_callback

    def then_arrive(call: Callable[..., Any], point: str) -> Callable[..., Any]:
        def trapped_call(*given: Any, **named: Any) -> Any:
            answer = call(*given, **named)
            if point in within:
                wire.arrive(point)
            return answer

        return trapped_call

    class TrappedConsumer(group.Consumer):
        def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
            for name, point in (("on_assign", "in-assign"), ("on_revoke", "in-revoke")):
                callbacks[name] = trapped(callbacks[name], point)
            super().subscribe(topics, **callbacks)

    _replace(group.Consumer, TrappedConsumer)
    _replace(put.find_end, then_arrive(put.find_end, "in-assign"))
    _replace(put.put_slot, then_arrive(put.put_slot, "in-revoke"))


def _replace(original: Any, trapped: Any) -> None:
    """Put `trapped` wherever a module of ingestion has imported `original` to."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ingestion."):
            for own, value in list(vars(module).items()):
                if value is original:
                    setattr(module, own, trapped)
