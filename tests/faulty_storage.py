"""A storage that fails as a plan says: before the effect, after it, or with the effect still on its way."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TypeVar

from tickhouse.storage import Storage, StorageUnavailableError

LATEST = 6
CHANGES = ("put_if_absent", "delete")

Answer = TypeVar("Answer")


class Fault(Enum):
    """What goes wrong with one call. To who only reads, `LATE` is `BEFORE`."""

    BEFORE = "the call does nothing and fails"
    AFTER = "the call does its work and its answer is lost; a listing breaks off"
    LATE = "the call times out and does its work while some later call is under way"


Plan = Callable[[str], Fault | None]
"""The name of a method of `Storage` → what goes wrong with this call of it."""


def no_faults(method: str) -> None:
    """The plan of a storage that works."""


def seeded_faults(seed: int, share: float = 0.3, *, kinds: tuple[Fault, ...] = tuple(Fault)) -> Plan:
    """A plan by which `share` of all calls fail, each in a way that the seed chooses. Safe to use from many threads."""
    chance, lock = random.Random(seed), threading.Lock()

    def plan(method: str) -> Fault | None:
        with lock:
            return chance.choice(kinds) if chance.random() < share else None

    return plan


class FaultyStorage:
    """`Storage` on another one, with the faults of `plan`; each is raised as StorageUnavailableError.

    Effects that are `LATE` happen before one of the next calls here, or at `settle`.
    """

    def __init__(self, storage: Storage, plan: Plan = no_faults, seed: int = 0) -> None:
        self.plan = plan
        self._storage = storage
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._late: list[Callable[[], object]] = []

    def uri(self, key: str) -> str:
        return self._storage.uri(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._call("put_if_absent", key, lambda: self._storage.put_if_absent(key, data))

    def get(self, key: str) -> bytes:
        return self._call("get", key, lambda: self._storage.get(key))

    def exists(self, key: str) -> bool:
        return self._call("exists", key, lambda: self._storage.exists(key))

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        fault = self._fault("list_after")
        if fault is Fault.AFTER:
            names = list(self._storage.list_after(folder, after))
            yield from names[: len(names) // 2]
        if fault is not None:
            raise failure(fault, self.uri(folder) if folder else "the lake")
        yield from self._storage.list_after(folder, after)

    def folders(self, folder: str) -> list[str]:
        return self._call("folders", folder, lambda: self._storage.folders(folder))

    def local_path(self, key: str) -> Path:
        return self._call("local_path", key, lambda: self._storage.local_path(key))

    def delete(self, key: str) -> None:
        return self._call("delete", key, lambda: self._storage.delete(key))

    def probe(self) -> None:
        return self._call("probe", "_probe", self._storage.probe)

    def settle(self) -> None:
        """Let what is still on its way happen."""
        with self._lock:
            late, self._late = self._late, []
        for effect in late:
            effect()

    def _call(self, method: str, key: str, effect: Callable[[], Answer]) -> Answer:
        fault = self._fault(method)
        if fault is None:
            return effect()
        if fault is Fault.AFTER:
            effect()
        elif fault is Fault.LATE and method in CHANGES:
            with self._lock:
                self._late.append(effect)
        raise failure(fault, key)

    def _fault(self, method: str) -> Fault | None:
        with self._lock:
            is_time = bool(self._late) and self._chance.randrange(LATEST) == 0
        if is_time:
            self.settle()
        return self.plan(method)


def failure(fault: Fault, place: str) -> StorageUnavailableError:
    return StorageUnavailableError(f"{place}: {fault.value}")


class PatientStorage:
    """`Storage` that asks another one again until it answers.

    After a put whose answer was lost it cannot tell its own object from another's: for plans whose puts fail `BEFORE` alone.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def uri(self, key: str) -> str:
        return self._storage.uri(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return patiently(lambda: self._storage.put_if_absent(key, data))

    def get(self, key: str) -> bytes:
        return patiently(lambda: self._storage.get(key))

    def exists(self, key: str) -> bool:
        return patiently(lambda: self._storage.exists(key))

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        return iter(patiently(lambda: list(self._storage.list_after(folder, after))))

    def folders(self, folder: str) -> list[str]:
        return patiently(lambda: self._storage.folders(folder))

    def local_path(self, key: str) -> Path:
        return patiently(lambda: self._storage.local_path(key))

    def delete(self, key: str) -> None:
        return patiently(lambda: self._storage.delete(key))

    def probe(self) -> None:
        return patiently(self._storage.probe)


def patiently(ask: Callable[[], Answer], tries: int = 1000) -> Answer:
    """What is answered, asked again while the storage is unavailable; fails after so many tries."""
    for _ in range(tries):
        try:
            return ask()
        except StorageUnavailableError:
            continue
    raise AssertionError(f"{tries} faults in a row")
