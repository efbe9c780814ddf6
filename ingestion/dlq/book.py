"""The dead letters of a topic, as its chains have them: which there are, and which of them are one letter's replays."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.slot import Chain
from ingestion.chain.walk import Slot, find_chains, read_genesis, walk
from ingestion.dead_letter import LandedCount, read_dead_letters
from ingestion.dlq.letter import Letter, Place, claimed_origin, letters_in
from ingestion.dlq.tries import Tries, Try
from tickhouse.storage import Storage

Fate = Literal["waiting", "landed"]
"""Landed is a letter that was sent again and is a bar now; every other waits."""


_JUDGED = ("offset", "kafka_timestamp", "stage")


class LetterMissingError(LookupError):
    """No dead letter is at the place."""


@dataclass(frozen=True)
class Search:
    """Which letters are wanted; None wants all. `since` is in milliseconds since 1970 UTC, of Kafka's timestamp."""

    stage: str | None = None
    partition: int | None = None
    since: int | None = None
    fate: Fate | None = None


class LetterBook:
    """The dead letters of one topic and its earlier incarnations, as they are in the lake when the book is opened.

    A letter that was sent again and is a dead letter once more is no new one: it is a try of the first. Letters are read
    slot by slot; besides, the book keeps the footers of slots that hold some, and 21 bytes for every replay.
    """

    def __init__(self, storage: Storage, topic: str) -> None:
        self._storage = storage
        chains = [chain for chain in find_chains(storage) if chain.topic == topic]
        begun = {chain: read_genesis(storage, chain).begun_at for chain in chains}
        chains.sort(key=lambda chain: (begun[chain], chain))
        self.topic = topic
        self.present = chains[-1].topic_id if chains else None
        self.landed = LandedCount()
        self._slots: dict[Chain, list[Slot]] = {chain: [] for chain in chains}
        replayed = []
        for chain, kept in self._slots.items():
            for slot in walk(storage, chain):
                self.landed = self.landed.plus(slot.footer)
                if slot.footer.dead_letters:
                    kept.append(slot)
                if slot.footer.replayed:
                    replayed.append(slot)
        self._tries = Tries.read(storage, replayed)
        self._claims = lru_cache(maxsize=8)(self._read_claims)

    def place(self, text: str) -> Place:
        """The place that people write so. Raises ValueError for what is none."""
        return Place.parse(text, self.present)

    def tries(self, letter: Letter) -> list[Try]:
        """The replays of the letter that have landed, in the order of their chains."""
        return self._tries.of(letter.place)

    def read(self, place: Place) -> Letter:
        """The letter at `place`, a first one or a try. Raises LetterMissingError."""
        if (slot := self._slot_of(place)) is not None:
            table = read_dead_letters(self._storage, slot.footer)
            for letter in letters_in(table.filter(pc.equal(table["offset"], place.offset))):
                return letter
        raise LetterMissingError(
            f"topic {self.topic} has no dead letter at {place.text(self.present)}: `tickhouse dlq list` shows those there are"
        )

    def first(self, letter: Letter) -> Place:
        """Where the letter stood before it was sent again; its own place when it never was."""
        slot = self._slot_of(letter.place)
        claimed = None if slot is None else self._claims(slot).get(letter.place.offset)
        return claimed if claimed is not None and self._is_first(claimed) else letter.place

    def newest(self, search: Search) -> Iterator[Letter]:
        """The first letters that are wanted, the newest by Kafka's timestamp first."""
        partitions = [self._newest_of(slots, search) for slots in self._wanted(search)]
        return merge(*partitions, key=lambda letter: -letter.timestamp)

    def in_order(self, search: Search) -> Iterator[Letter]:
        """The first letters that are wanted, partition by partition in the order of their offsets."""
        for slots in self._wanted(search):
            for slot in slots:
                yield from letters_in(self._table(slot, search))

    def count(self, search: Search) -> Counter[tuple[str, Fate]]:
        """How many first letters are wanted, by stage and fate."""
        counts: Counter[tuple[str, Fate]] = Counter()
        for slots in self._wanted(search):
            for slot in slots:
                table = self._table(slot, search, _JUDGED)
                fates = np.where(self._is_bar(slot, table), "landed", "waiting").tolist()
                counts.update(zip(table["stage"].to_pylist(), fates, strict=True))
        return counts

    def _wanted(self, search: Search) -> list[list[Slot]]:
        return [slots for chain, slots in self._slots.items() if search.partition in (None, chain.partition)]

    def _newest_of(self, slots: Sequence[Slot], search: Search) -> Iterator[Letter]:
        for slot in reversed(slots):
            table = self._table(slot, search)
            yield from letters_in(table.take(np.arange(table.num_rows)[::-1]))

    def _table(self, slot: Slot, search: Search, columns: Sequence[str] | None = None) -> pa.Table:
        """The first letters of a slot that are wanted."""
        table = read_dead_letters(self._storage, slot.footer, columns)
        is_wanted = np.ones(table.num_rows, bool)
        if search.stage is not None:
            is_wanted &= pc.equal(table["stage"], search.stage).to_numpy()
        if search.since is not None:
            is_wanted &= table["kafka_timestamp"].cast(pa.int64()).to_numpy() >= search.since
        if search.fate is not None:
            is_wanted &= self._is_bar(slot, table) == (search.fate == "landed")
        if slot.footer.replayed:
            claims = self._claims(slot)
            tries = [offset for offset, place in claims.items() if place is not None and self._is_first(place)]
            is_wanted &= ~np.isin(table["offset"].to_numpy(), tries)
        return table.filter(pa.array(is_wanted))

    def _is_bar(self, slot: Slot, letters: pa.Table) -> np.ndarray:
        return np.isin(letters["offset"].to_numpy(), self._tries.bars(slot.chain.topic_id, slot.chain.partition))

    def _is_first(self, place: Place) -> bool:
        """Whether a dead letter is there that is nobody's replay; headers may claim what they like, in circles too."""
        slot = self._slot_of(place)
        if slot is None or place.offset not in (claims := self._claims(slot)):
            return False
        claimed = claims[place.offset]
        return claimed is None or not self._has(claimed)

    def _has(self, place: Place) -> bool:
        slot = self._slot_of(place)
        return slot is not None and place.offset in self._claims(slot)

    def _slot_of(self, place: Place) -> Slot | None:
        """The slot with dead letters that covers the place."""
        slots = self._slots.get(Chain(self.topic, place.topic_id, place.partition), [])
        at = bisect_right(slots, place.offset, key=lambda slot: slot.footer.position) - 1
        return slots[at] if at >= 0 and place.offset < slots[at].footer.next_offset else None

    def _read_claims(self, slot: Slot) -> dict[int, Place | None]:
        """The offsets of a slot's letters, each with the first place that its headers claim."""
        if not slot.footer.replayed:
            return dict.fromkeys(read_dead_letters(self._storage, slot.footer, ["offset"])["offset"].to_pylist())
        letters = read_dead_letters(self._storage, slot.footer, ["offset", "headers"])
        return dict(zip(letters["offset"].to_pylist(), map(claimed_origin, letters["headers"].to_pylist()), strict=True))
