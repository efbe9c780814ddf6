"""Every interleaving of programs over one storage, with a failure at any step.

A step is one call to the storage. A program is a plain function of a storage and of what it knows, a value, and says what
it knows next; it is deterministic, so on its way there its state is what it knew and the answers it has had since. To
look at what it does from a state, it is run on those answers. So a state of the whole is a value too.

Reads are taken as late as can be: by its own process before it writes, and by another's before a write that
changes the answer. Of all the schedules in which something else is read or written, none is left out so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from memory_storage import MemoryStorage

from tickhouse.storage import ObjectMissingError, StorageUnavailableError

Program = Callable[[Any, Any], Any]
"""Called with the storage and what it knows, None at first: what it knows afterwards, or a `Done`."""

Objects = frozenset[tuple[str, bytes]]
Place = tuple[Any, tuple[Any, ...]]
"""Where a process is: what it knew, and its answers since."""

BEGINNING: Place = (None, ())

MISSING = "missing"
"""Answer of a read that found no object."""

UNAVAILABLE = "unavailable"
"""No answer to a write: it took effect or not."""

_LONGEST = 1000


@dataclass(frozen=True)
class Call:
    """What a program asks of the storage."""

    name: str
    arguments: tuple[Any, ...]

    @property
    def is_write(self) -> bool:
        return self.name in ("put_if_absent", "delete")

    def sees(self, key: str) -> bool:
        """Whether the answer may be another once the object `key` is stored or deleted."""
        assert self.name != "folders", "a folder comes and goes with what is below it: not thought of here"
        return self.arguments[0] == (key.rpartition("/")[0] if self.name == "list_after" else key)


@dataclass(frozen=True)
class Done:
    """The end of a program, and what it has to tell."""

    value: Any = None


@dataclass(frozen=True)
class Way:
    """A program's way on while the storage stays as it is: the place after each of its reads, and what it comes to."""

    reads: tuple[tuple[Call, Place], ...]
    place: Place
    comes_to: Call | Done


class _Write(BaseException):
    def __init__(self, call: Call) -> None:
        self.call = call


class _Observed:
    """A storage that gives the answers of a recording first, then reads `storage`, and stops the program at a write."""

    def __init__(self, place: Place, storage: MemoryStorage) -> None:
        self._knew, answers = self.place = place
        self._answers = iter(answers)
        self._storage = storage
        self.reads: list[tuple[Call, Place]] = []

    def uri(self, key: str) -> str:
        return self._storage.uri(key)

    def list_after(self, *arguments: str) -> Iterator[str]:
        return iter(self._ask(Call("list_after", arguments)))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self._ask(Call(name, arguments))

    def _ask(self, call: Call) -> Any:
        answer = next(self._answers, self)
        if answer is self:
            if call.is_write:
                raise _Write(call)
            assert len(self.reads) < _LONGEST, "it reads for ever"
            answer = _answer(self._storage, call)
            self.place = (self._knew, (*self.place[1], answer))
            self.reads.append((call, self.place))
        if answer is UNAVAILABLE:
            raise StorageUnavailableError("no answer")
        if answer is MISSING:
            raise ObjectMissingError(call.arguments[0])
        return answer


@dataclass
class Explored:
    """How much was looked at: states of the whole, states of the storage, and states in which all had ended."""

    states: int = 0
    storages: int = 0
    ends: int = 0


@dataclass
class Explorer:
    """Looks at every state that `writers` and each of `readers` can come to from `start`, with at most so many `failures`.

    A failure is a writer that is killed, and started again, at any moment; or a write that is told to have failed, and
    took effect or not. A reader writes nothing, so it is shown every way the storage may go, and cannot change it.
    `view` makes of a storage what an observer sees; the checks raise AssertionError: of the views before and after a
    step; of a program's name, what it tells at its end, and the view then; of the view when all writers have ended.
    """

    start: MemoryStorage
    writers: dict[str, Program]
    readers: dict[str, Program]
    view: Callable[[MemoryStorage], Any]
    check_step: Callable[[Any, Any], None]
    check_end: Callable[[str, Any, Any], None]
    check_final: Callable[[Any], None]
    failures: int = 0
    _interned: dict[Objects, Objects] = field(default_factory=dict)
    _views: dict[Objects, Any] = field(default_factory=dict)
    _ways: dict[tuple[str, Place, Objects], Way] = field(default_factory=dict)
    _writes: dict[tuple[Objects, Call], tuple[Any, Objects]] = field(default_factory=dict)

    def explore(self) -> Explored:
        """Look at all of them, each once."""
        found = Explored()
        start = self._intern(frozenset(self.start.objects.items()))
        self._explore_writers(start, found)
        for name in self.readers:
            self._explore_reader(name, start, found)
        found.storages = len(self._interned)
        return found

    def _explore_writers(self, start: Objects, found: Explored) -> None:
        begin = (start, (BEGINNING,) * len(self.writers), self.failures)
        seen, waiting = {begin}, [begin]
        while waiting:
            objects, places, failures = waiting.pop()
            found.states += 1
            ways = [self._way(name, place, objects) for name, place in zip(self.writers, places, strict=True)]
            if all(isinstance(way.comes_to, Done) for way in ways):
                found.ends += 1
                self.check_final(self._view(objects))
            for state in self._following(objects, places, ways, failures):
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)

    def _explore_reader(self, name: str, start: Objects, found: Explored) -> None:
        following: dict[Objects, list[tuple[Call, Objects]]] = {}
        for (objects, call), told in self._writes.items():
            following.setdefault(objects, []).append((call, told[1]))
        seen, waiting = {(start, BEGINNING)}, [(start, BEGINNING)]
        while waiting:
            objects, place = waiting.pop()
            found.states += 1
            way = self._way(name, place, objects)
            assert isinstance(way.comes_to, Done), f"{name} writes"
            for call, after in following.get(objects, ()):
                for state in ((after, reached) for reached in _before(place, way, call)):
                    if state not in seen:
                        seen.add(state)
                        waiting.append(state)

    def _following(
        self, objects: Objects, places: tuple[Place, ...], ways: Sequence[Way], failures: int
    ) -> Iterator[tuple[Objects, tuple[Place, ...], int]]:
        for number, way in enumerate(ways):
            if isinstance(way.comes_to, Done):
                continue
            if failures and places[number] != BEGINNING:
                yield objects, (*places[:number], BEGINNING, *places[number + 1 :]), failures - 1
            for answer, after, cost in self._tries(objects, way.comes_to, failures):
                options = [
                    [place] if after is objects else _before(place, other, way.comes_to)
                    for place, other in zip(places, ways, strict=True)
                ]
                options[number] = [(way.place[0], (*way.place[1], answer))]
                yield from ((after, reached, failures - cost) for reached in product(*options))

    def _tries(self, objects: Objects, call: Call, failures: int) -> Iterator[tuple[Any, Objects, int]]:
        """What may come of a write: its answer, the objects afterwards, and how many failures that is."""
        if (objects, call) not in self._writes:
            storage = self._storage(objects)
            answer = _answer(storage, call)
            after = self._intern(frozenset(storage.objects.items()))
            self._writes[objects, call] = (answer, after)
            self.check_step(self._view(objects), self._view(after))
        answer, after = self._writes[objects, call]
        yield answer, after, 0
        if failures:
            for outcome in {objects, after}:
                yield UNAVAILABLE, outcome, 1

    def _way(self, name: str, place: Place, objects: Objects) -> Way:
        if (name, place, objects) not in self._ways:
            way = _way((self.writers | self.readers)[name], place, self._storage(objects))
            self._ways[name, place, objects] = way
            if isinstance(way.comes_to, Done):
                self.check_end(name, way.comes_to.value, self._view(objects))
        return self._ways[name, place, objects]

    def _view(self, objects: Objects) -> Any:
        if objects not in self._views:
            self._views[objects] = self.view(self._storage(objects))
        return self._views[objects]

    def _storage(self, objects: Objects) -> MemoryStorage:
        return type(self.start)(self.start.files, dict(objects))

    def _intern(self, objects: Objects) -> Objects:
        return self._interned.setdefault(objects, objects)


def _way(program: Program, place: Place, storage: MemoryStorage) -> Way:
    reads: list[tuple[Call, Place]] = []
    while not isinstance(place[0], Done):
        observed = _Observed(place, storage)
        try:
            known = program(observed, place[0])
        except _Write as reached:
            return Way((*reads, *observed.reads), observed.place, reached.call)
        reads += observed.reads
        place = (known, ())
        if observed.reads:
            reads[-1] = (reads[-1][0], place)
    return Way(tuple(reads), place, place[0])


def _before(place: Place, way: Way, write: Call) -> list[Place]:
    """Where a process may be before another's write: where it was, or after any of its reads which the write changes."""
    return [place, *(after for call, after in way.reads if call.sees(write.arguments[0]))]


def _answer(storage: MemoryStorage, call: Call) -> Any:
    try:
        answer = getattr(storage, call.name)(*call.arguments)
    except ObjectMissingError:
        return MISSING
    return tuple(answer) if call.name == "list_after" else answer
