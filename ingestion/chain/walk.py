"""Reading a chain: genesis, then slot → next → slot. What a walk does not reach is never read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.chain.slot import LANDING, Chain, Genesis, SlotFooter, read_slot
from tickhouse.storage import ObjectMissingError, Storage

_CHAIN_PATH = re.compile(r"topic=([^/]+)/id=([^/]+)/partition=(\d+)")


@dataclass(frozen=True)
class Slot:
    """A slot that a walk reached."""

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
                if (found := _CHAIN_PATH.fullmatch(f"{topic}/{topic_id}/{partition}")) is not None:
                    chains.append(Chain(found[1], found[2], int(found[3])))
    return sorted(chain for chain in chains if storage.exists(chain.genesis_key))


def read_genesis(storage: Storage, chain: Chain) -> Genesis:
    """Where the chain starts. Raises ObjectMissingError for a chain that was never begun."""
    return Genesis.decode(storage.get(chain.genesis_key))


def walk(storage: Storage, chain: Chain, position: int | None = None) -> Iterator[Slot]:
    """The chain's slots in order, from `position` (its genesis when None) to its present end."""
    at = read_genesis(storage, chain).position if position is None else position
    while (footer := read_footer(storage, chain, at)) is not None:
        yield Slot(chain, footer)
        at = footer.next_offset


def read_footer(storage: Storage, chain: Chain, position: int) -> SlotFooter | None:
    """The footer of the slot at `position`, or None where the chain ends.

    Raises ValueError when the file there is no slot of that place.
    """
    key = chain.slot_key(position)
    try:
        path = storage.local_path(key)
    except ObjectMissingError:
        return None
    try:
        footer = SlotFooter.read(pq.read_metadata(path).metadata)
    except ValueError as error:
        raise ValueError(f"{storage.uri(key)}: {error}") from error
    if footer.position != position or footer.next_offset <= position:
        raise ValueError(f"{storage.uri(key)} says it covers {footer.position} to {footer.next_offset}: no slot of that place")
    return footer


def read_rows(storage: Storage, slot: Slot) -> pa.Table:
    """The slot's bars, in `LANDED_SCHEMA`."""
    return read_slot(storage.local_path(slot.key))
