"""Writing a chain: its genesis, its end, and a slot at its end, each put if absent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ingestion.chain.archive import archived_footer, newest_record
from ingestion.chain.slot import Chain, Genesis, SlotFooter, encode_slot
from ingestion.chain.walk import read_footer, read_genesis, walk
from tickhouse.storage import ObjectMissingError, Storage


@dataclass(frozen=True)
class ChainEnd:
    """Where a chain goes on: the next offset to land, and the position of its last slot, None before the first."""

    next_offset: int
    last_position: int | None


class ChainGoneError(RuntimeError):
    """The chain's beginning is no longer there: the lake was emptied under its writer."""


def begin_chain(storage: Storage, chain: Chain, position: int, now: datetime) -> None:
    """Let the chain start at `position`, unless somebody has begun it: then it starts where they said. `now` is in UTC."""
    storage.put_if_absent(chain.genesis_key, Genesis(position, now).encode())


def find_end(storage: Storage, chain: Chain, hint: int | None = None) -> ChainEnd | None:
    """The chain's present end; None for a chain that was never begun.

    `hint` is the position of a slot that was once on the walk: the search starts there if the storage still has
    it, else where the archive ends. The storage is the truth: a hint beyond its end is no more than a wrong guess.
    """
    try:
        genesis = read_genesis(storage, chain)
    except ObjectMissingError:
        return None
    newest = newest_record(storage, chain)
    end = ChainEnd(genesis.position, None) if newest is None else ChainEnd(newest.next_offset, newest.last_position)
    is_good_hint = hint is not None and hint >= end.next_offset and storage.exists(chain.slot_key(hint))
    for slot in walk(storage, chain, hint if is_good_hint else end.next_offset):
        end = ChainEnd(slot.footer.next_offset, slot.footer.position)
    return end


def put_slot(storage: Storage, chain: Chain, rows: pa.Table, footer: SlotFooter) -> SlotFooter:
    """Put the slot at its position unless it is taken; the footer that stands there now, ours or the winner's.

    The winner may be our own earlier try whose answer was lost. Either way the chain goes on at the standing
    footer's `next_offset`, and only what that footer says has landed.

    Where the slots of this place were compacted while we slept, the key is free again and the put succeeds; but
    the archive is what stands. That is why its head is looked at after the put, and our file then void.

    Raises ChainGoneError when the chain was emptied meanwhile: no walk would find what is put to its end.
    """
    key = chain.slot_key(footer.position)
    is_won = storage.put_if_absent(key, encode_slot(rows, footer))
    standing = footer if is_won else read_footer(storage, chain, footer.position)
    newest = newest_record(storage, chain)
    if newest is not None and footer.position < newest.next_offset:
        if is_won:
            storage.delete(key)
        standing = archived_footer(storage, chain, footer.position)
    if newest is None and not storage.exists(chain.genesis_key):
        raise ChainGoneError(
            f"{storage.uri(chain.genesis_key)} is gone: the lake was emptied under this ingestor, and nothing would find "
            "what it lands. Start it again: it lands anew what Kafka still has"
        )
    if standing is None:
        raise RuntimeError(f"{storage.uri(key)} was taken, and now neither it nor the archive has a slot of that place")
    return standing
