"""Landing on a storage that fails at any call and in any way: each message once, whatever the plan of faults and restarts."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty_storage import Fault, FaultyStorage, no_faults, patiently, seeded_faults
from ingesting import bar_message
from memory_storage import MemoryStorage

from ingestion.batch import Limits
from ingestion.chain.put import ChainEnd, begin_chain, find_end, put_slot
from ingestion.chain.slot import Chain, SlotFooter
from ingestion.chain.walk import read_genesis, read_rows, walk
from ingestion.dead_letter import read_dead_letters
from ingestion.lander import PartitionLander
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.storage import Storage, StorageUnavailableError

CHAIN = Chain("bars", "incarnation", 0)
LIMITS = Limits(rows=1000, bytes=1_000_000, seconds=1.0)
VERSION = [("schema_version", b"1")]
START, END = 5, 60
WRITERS = 3
STEPS = 60


class Writer:
    """One ingestor's way with the chain, which is killed and started again."""

    def __init__(self, storage: FaultyStorage, produced: list[int], name: str) -> None:
        self.storage = storage
        self._produced = produced
        self._name = name
        self._starts = 0
        self._lander: PartitionLander | None = None

    @property
    def is_started(self) -> bool:
        return self._lander is not None

    def start(self, hint: int | None = None) -> None:
        """Find the chain's end, or begin the chain; killed on the way when the storage fails."""
        self._lander = None
        self._starts += 1
        end = find_end(self.storage, CHAIN, hint)
        if end is None:
            begin_chain(self.storage, CHAIN, START, datetime(2026, 1, 1, tzinfo=UTC))
            end = find_end(self.storage, CHAIN)
            assert end is not None
        self._lander = PartitionLander(self.storage, CHAIN, end, LIMITS, f"{self._name}.{self._starts}")

    def read(self, count: int) -> None:
        if self._lander is None:
            return
        ahead = [offset for offset in self._produced if offset >= self._lander.batch.next_offset]
        feed(self._lander, ahead[:count], END if len(ahead) <= count else None)

    def land(self) -> None:
        if self._lander is not None:
            self._lander.land()


def feed(lander: PartitionLander, offsets: list[int], passed_over: int | None) -> None:
    """Messages at these offsets; every seventh is poison. Below `passed_over` there are no more."""
    for offset in offsets:
        value = b"poison" if is_poison(offset) else bar_message(offset)
        lander.batch.append(offset, 1_000 + offset, b"AAPL", value, VERSION, 0.0)
    if passed_over is not None:
        lander.batch.pass_over(passed_over, 0.0)


def is_poison(offset: int) -> bool:
    return offset % 7 == 6


def assert_landed_once(storage: Storage, produced: list[int]) -> None:
    """The chain is gapless from its genesis to the end, and holds each produced message once, as what it is."""
    at, bars, letters = read_genesis(storage, CHAIN).position, list[int](), list[int]()
    for slot in walk(storage, CHAIN):
        assert slot.footer.position == at
        rows, own = read_rows(storage, slot), read_dead_letters(storage, slot.footer)
        assert (rows.num_rows, own.num_rows) == (slot.footer.rows, slot.footer.dead_letters)
        bars += rows["offset"].to_pylist()
        letters += own["offset"].to_pylist()
        at = slot.footer.next_offset
    assert at == END
    assert bars == [offset for offset in produced if not is_poison(offset)]
    assert letters == [offset for offset in produced if is_poison(offset)]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_fails_and_whoever_restarts_each_message_lands_once(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    produced = [offset for offset in range(START, END) if chance.random() < 0.8]
    below = MemoryStorage(tmp_path)
    faults = [seeded_faults(seed * WRITERS + number, chance.choice([0.05, 0.2, 0.5])) for number in range(WRITERS)]
    writers = [Writer(FaultyStorage(below, plan, seed), produced, str(number)) for number, plan in enumerate(faults)]
    for _ in range(STEPS):
        writer = chance.choice(writers)
        step = chance.choice(["start", "read", "read", "land", "land"])
        if step == "start":
            with suppress(StorageUnavailableError):
                writer.start(chance.choice([None, START, chance.randrange(END)]))
        elif step == "read":
            writer.read(chance.randrange(1, 9))
        else:
            with suppress(StorageUnavailableError):
                writer.land()

    last = writers[0]
    last.storage.plan = no_faults
    if not last.is_started or chance.random() < 0.2:
        last.start()
    last.read(END)
    last.land()
    assert_landed_once(below, produced)
    for writer in writers:
        writer.storage.settle()
    assert_landed_once(below, produced)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("method", ["put_if_absent", "get", "exists", "local_path"])
def test_every_call_may_fail_once_on_the_way_to_a_slot(method: str, fault: Fault, tmp_path: Path) -> None:
    """The storage fails at the first call, then at the second, and so on, until a landing meets no fault."""
    for nth in range(100):
        below = MemoryStorage(tmp_path)
        plan = OneFault(method, nth, fault)
        storage = FaultyStorage(below, plan)
        writer = Writer(storage, [5, 6, 7], "one")
        for round_ in range(2):
            patiently(lambda writer=writer, hint=round_ * START: writer.start(hint))  # type: ignore[misc]
            writer.read(2)
            patiently(writer.land)
        storage.settle()
        assert [slot.footer.next_offset for slot in walk(below, CHAIN)] == [7, END]
        assert_landed_once(below, [5, 6, 7])
        if nth >= plan.calls:
            return
    raise AssertionError("a landing takes over 100 calls")


class OneFault:
    """The plan by which the nth call of a method fails, and no other; counts the method's calls."""

    def __init__(self, method: str, nth: int, fault: Fault) -> None:
        self.calls = 0
        self._method = method
        self._nth = nth
        self._fault = fault

    def __call__(self, method: str) -> Fault | None:
        if method != self._method:
            return None
        self.calls += 1
        return self._fault if self.calls == self._nth + 1 else None


def footer(position: int, next_offset: int, writer: str = "one") -> SlotFooter:
    return SlotFooter(position, next_offset, 0, 0, None, writer, 1, None, None, ())


def test_a_slot_whose_answer_was_lost_stands_and_its_writer_is_told_so(tmp_path: Path) -> None:
    storage = FaultyStorage(MemoryStorage(tmp_path))
    begin_chain(storage, CHAIN, START, datetime(2026, 1, 1, tzinfo=UTC))
    storage.plan = lambda method: Fault.AFTER if method == "put_if_absent" else None
    with pytest.raises(StorageUnavailableError, match="answer is lost"):
        put_slot(storage, CHAIN, LANDED_SCHEMA.empty_table(), footer(START, 9))
    storage.plan = no_faults
    assert put_slot(storage, CHAIN, LANDED_SCHEMA.empty_table(), footer(START, 12)) == footer(START, 9)
    assert find_end(storage, CHAIN) == ChainEnd(9, START)


def test_a_slot_that_comes_late_finds_its_place_taken(tmp_path: Path) -> None:
    """The request was on its way while its writer was killed and another landed."""
    below = MemoryStorage(tmp_path)
    storage = FaultyStorage(below)
    begin_chain(storage, CHAIN, START, datetime(2026, 1, 1, tzinfo=UTC))
    storage.plan = lambda method: Fault.LATE
    with pytest.raises(StorageUnavailableError, match="times out"):
        put_slot(storage, CHAIN, LANDED_SCHEMA.empty_table(), footer(START, 9, "late"))
    assert put_slot(below, CHAIN, LANDED_SCHEMA.empty_table(), footer(START, 12)) == footer(START, 12)
    storage.settle()
    assert find_end(below, CHAIN) == ChainEnd(12, START)
