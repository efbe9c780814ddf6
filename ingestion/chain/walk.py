"""Reading a chain: genesis, the archive, then slot → next → slot. What a walk does not reach is never read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.chain.archive import ArchiveHead, archived_footers, bars_key, covering_record, read_bars
from ingestion.chain.slot import LANDING, Chain, Genesis, SlotFooter, read_slot
from tickhouse.storage import ObjectMissingError, Storage


@dataclass(frozen=True)
class Slot:
    """A slot that a walk reached. Its bars lie under `key`, or in the archive once it was compacted: `read_rows` knows."""

    chain: Chain
    footer: SlotFooter

    @property
    def key(self) -> str:
        return self.chain.slot_key(self.footer.position)


def find_chains(storage: Storage) -> list[Chain]:
    """Every chain of the lake, by (topic, topic id, partition)."""
    chains = []
    for topic in storage.folders(LANDING):
        for topic_id in storage.folders(f"{LANDING}/{topic}"):
            for partition in storage.folders(f"{LANDING}/{topic}/{topic_id}"):
                try:
                    chains.append(Chain.of_path(f"{topic}/{topic_id}/{partition}"))
                except ValueError:
                    continue  # a folder of somebody else's
    return sorted(chain for chain in chains if storage.exists(chain.genesis_key))


def read_genesis(storage: Storage, chain: Chain) -> Genesis:
    """Where the chain starts. Raises ObjectMissingError for a chain that was never begun."""
    return Genesis.decode(storage.get(chain.genesis_key))


def walk(storage: Storage, chain: Chain, position: int | None = None) -> Iterator[Slot]:
    """The chain's slots in order, from `position` (its genesis when None) to its present end.

    A compacted slot comes as the slot it was. Where the archive ends is looked at again after every slot that
    was read: only if it has not passed the slot by then is what was read the slot, and not a sleeper's.
    """
    head = ArchiveHead(storage, chain)
    at = read_genesis(storage, chain).position if position is None else position
    while True:
        if at < head.offset:
            footers = _archived_from(storage, chain, at)
            if not footers:
                return  # no slot ever began here
            for footer in footers:
                yield Slot(chain, footer)
                at = footer.next_offset
            continue
        found = read_footer(storage, chain, at)
        if head.has_moved():
            continue
        if found is None:
            return
        yield Slot(chain, found)
        at = found.next_offset


def read_footer(storage: Storage, chain: Chain, position: int) -> SlotFooter | None:
    """The footer of the file at `position`, or None where there is none; what is archived is not looked for.

    Raises ValueError when the file there is no slot of that place.
    """
    key = chain.slot_key(position)
    try:
        footer = SlotFooter.read(pq.read_metadata(storage.local_path(key)).metadata)
    except (ObjectMissingError, FileNotFoundError):
        return None
    except ValueError as error:
        raise ValueError(f"{storage.uri(key)}: {error}") from error
    if footer.position != position or footer.next_offset <= position:
        raise ValueError(f"{storage.uri(key)} says it covers {footer.position} to {footer.next_offset}: no slot of that place")
    return footer


def read_rows(storage: Storage, slot: Slot) -> pa.Table:
    """The slot's bars, in `LANDED_SCHEMA` and the order of their offsets. For many slots use a `SlotReader`."""
    return SlotReader(storage).read(slot.chain, slot.footer.position, slot.footer.next_offset)


class SlotReader:
    """Reads the bars of slots, wherever they are by now; it keeps the archive it read last, for the next slot lies there too.

    Memory: one archive's bars.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._heads: dict[Chain, ArchiveHead] = {}
        self._archive: _Archive | None = None

    def read(self, chain: Chain, position: int, next_offset: int) -> pa.Table:
        """The bars of the walk's slot from `position` to `next_offset` − 1, in `LANDED_SCHEMA` and the order of their offsets.

        Raises ObjectMissingError when the slot is neither there nor archived.
        """
        head = self._heads.get(chain) or self._heads.setdefault(chain, ArchiveHead(self._storage, chain))
        if position >= head.offset:
            rows = self._slot_rows(chain.slot_key(position))
            if not head.has_moved() or position >= head.offset:
                if rows is None:
                    raise ObjectMissingError(self._storage.uri(chain.slot_key(position)))
                return rows
        return self._archive_of(chain, position).rows(position, next_offset)

    def _slot_rows(self, key: str) -> pa.Table | None:
        try:
            return read_slot(self._storage.local_path(key))
        except (ObjectMissingError, FileNotFoundError):
            return None

    def _archive_of(self, chain: Chain, position: int) -> _Archive:
        if self._archive is None or not self._archive.covers(chain, position):
            record = covering_record(self._storage, chain, position)
            assert record is not None  # the archive ends above, and has no gaps
            bars = read_bars(self._storage.local_path(bars_key(chain, record)))
            self._archive = _Archive(chain, record.position, record.next_offset, bars)
        return self._archive


@dataclass(frozen=True)
class _Archive:
    """The bars of an archive, in the order of their offsets."""

    chain: Chain
    position: int
    next_offset: int
    bars: pa.Table

    def covers(self, chain: Chain, position: int) -> bool:
        return chain == self.chain and self.position <= position < self.next_offset

    def rows(self, position: int, next_offset: int) -> pa.Table:
        offsets = self.bars["offset"].to_numpy()
        first, end = offsets.searchsorted([position, next_offset])
        return self.bars.slice(first, end - first)


def _archived_from(storage: Storage, chain: Chain, position: int) -> list[SlotFooter]:
    """The archived footers from `position` to the end of the record that covers it; none if no slot began there."""
    record = covering_record(storage, chain, position)
    footers = [] if record is None else archived_footers(storage, chain, record)
    start = next((number for number, footer in enumerate(footers) if footer.position == position), len(footers))
    return footers[start:]
