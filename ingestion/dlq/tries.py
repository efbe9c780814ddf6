"""What became of the dead letters that were sent again: bars at last, or dead letters once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow.compute as pc

from ingestion.chain.slot import Chain
from ingestion.chain.walk import Slot, SlotReader
from ingestion.dead_letter import read_dead_letters
from ingestion.dlq.letter import Place, claimed_origin
from tickhouse.storage import Storage

_TRY = np.dtype([("first", np.int64), ("chain", np.int32), ("offset", np.int64), ("is_bar", np.bool_)])


@dataclass(frozen=True)
class Try:
    """A replay of a letter that has landed: where, and whether as a bar."""

    place: Place
    is_bar: bool


class Tries:
    """Every replay that has landed, by the first place of its letter. It keeps 21 bytes of each."""

    def __init__(self) -> None:
        self._chains: list[Chain] = []
        self._landed: dict[tuple[str, int], np.ndarray] = {}

    @classmethod
    def read(cls, storage: Storage, slots: Iterable[Slot]) -> Self:
        """The replays that these slots hold; those of one chain in its order."""
        tries = cls()
        found: dict[tuple[str, int], list[np.ndarray]] = defaultdict(list)
        reader = SlotReader(storage)
        for slot in slots:
            if slot.chain not in tries._chains:
                tries._chains.append(slot.chain)
            own = tries._chains.index(slot.chain)
            by_chain = defaultdict(list)
            for first, offset, is_bar in _replays_in(storage, reader, slot):
                by_chain[first.topic_id, first.partition].append((first.offset, own, offset, is_bar))
            for chain, replays in by_chain.items():
                found[chain].append(np.array(replays, _TRY))
        for chain, parts in found.items():
            whole = np.concatenate(parts)
            tries._landed[chain] = whole[np.argsort(whole["first"], kind="stable")]
        return tries

    def bars(self, topic_id: str, partition: int) -> np.ndarray:
        """The offsets, int64, of the letters of that partition that are bars by now."""
        tries = self._of_chain(topic_id, partition)
        return tries["first"][tries["is_bar"]]

    def of(self, place: Place) -> list[Try]:
        """The replays of the letter that first stood at `place`."""
        tries = self._of_chain(place.topic_id, place.partition)
        first, end = np.searchsorted(tries["first"], [place.offset, place.offset + 1])
        found = []
        for each in tries[first:end]:
            chain = self._chains[each["chain"]]
            found.append(Try(Place(chain.topic_id, chain.partition, int(each["offset"])), bool(each["is_bar"])))
        return found

    def _of_chain(self, topic_id: str, partition: int) -> np.ndarray:
        return self._landed.get((topic_id, partition), np.empty(0, _TRY))


def _replays_in(storage: Storage, reader: SlotReader, slot: Slot) -> Iterator[tuple[Place, int, bool]]:
    """First place, own offset, and whether it is a bar, of every replay in a slot."""
    rows = reader.read(slot.chain, slot.footer.position, slot.footer.next_offset)
    rows = rows.filter(pc.is_valid(rows["origin_topic_id"]))
    columns = [rows[name].to_pylist() for name in ("origin_topic_id", "origin_partition", "origin_offset", "offset")]
    for topic_id, partition, first, offset in zip(*columns, strict=True):
        yield Place(topic_id, partition, first), offset, True
    letters = read_dead_letters(storage, slot.footer, ["offset", "headers"])
    for offset, headers in zip(letters["offset"].to_pylist(), letters["headers"].to_pylist(), strict=True):
        if (place := claimed_origin(headers)) is not None:
            yield place, offset, False
