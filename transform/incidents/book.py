"""The book of incidents in the lake: one value after the other, each put if absent, the highest number counts.

`incidents/<n>.json` is the whole book. Whoever changes it puts number n + 1; of two that do so at once one is refused, and makes
its change to what the other made. Older numbers go, so the folder holds no more than a handful of objects.
"""

from __future__ import annotations

from collections.abc import Callable

from tickhouse.storage import ObjectMissingError, Storage
from transform.incidents.state import State

AREA = "incidents"

Change = Callable[[State], State]
"""Made again to a newer state when another process was first: making it to a state that has it already changes nothing."""


class Book:
    """Several processes may have it open at once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def read(self) -> State:
        """What it says now; it is empty at first."""
        return self._read()[1]

    def change(self, change: Change) -> State:
        """Make the change; the state that has it. What changes nothing is not written."""
        while True:
            number, state = self._read()
            changed = change(state)
            if changed == state:
                return state
            if self._put(number + 1, changed):
                return changed

    def _read(self) -> tuple[int, State]:
        while True:
            newest = max(self._numbers(), default=0)
            if not newest:
                return 0, State()
            try:
                return newest, State.model_validate_json(self._storage.get(_key(newest)))
            except ObjectMissingError:
                continue  # another process has come further meanwhile

    def _put(self, number: int, state: State) -> bool:
        """Whether it is the newest by now. A number that has gone is free again: what is put there late counts for nobody."""
        if not self._storage.put_if_absent(_key(number), state.model_dump_json().encode()):
            return False
        numbers = self._numbers()
        newest = max(numbers)
        for older in numbers:
            if older < newest:
                self._storage.delete(_key(older))
        return newest == number

    def _numbers(self) -> list[int]:
        return [int(name.removesuffix(".json")) for name in self._storage.list_after(AREA)]


def _key(number: int) -> str:
    return f"{AREA}/{number:020d}.json"
