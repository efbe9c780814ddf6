"""Compaction: consecutive slots become one archive, proven before any slot goes; killed anywhere, the next one finishes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from ingestion.chain.archive import (
    ArchiveHead,
    ArchiveRecord,
    bars_key,
    checksum_of,
    contents_folders,
    decode_bars,
    decode_footers,
    encode_bars,
    encode_footers,
    footers_key,
    newest_record,
    read_record,
    record_key,
)
from ingestion.chain.slot import Chain, SlotFooter, slot_name
from ingestion.chain.walk import SlotReader, find_chains, walk
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.storage import ObjectMissingError, Storage

ARCHIVE_ROWS = 1_000_000
ARCHIVE_SLOTS = 20_000


class ArchiveUnprovenError(RuntimeError):
    """What was read back is not what the slots hold: nothing was archived, and no slot was deleted."""


@dataclass(frozen=True)
class ArchiveSize:
    """An archive is made of slots that have at least so many rows together, or are so many; `is_partial` makes one of fewer too.

    One archive is read and sorted at a time: about 0.7 kB of memory a row.
    """

    rows: int = ARCHIVE_ROWS
    slots: int = ARCHIVE_SLOTS
    is_partial: bool = False


@dataclass(frozen=True)
class Archived:
    """An archive that this compaction made, and the bytes of its bars."""

    chain: Chain
    record: ArchiveRecord
    bytes: int


def compact(
    storage: Storage, size: ArchiveSize = ArchiveSize(), on_archive: Callable[[Archived], None] | None = None
) -> list[Archived]:
    """Compact every chain of the lake; `on_archive` is told of each archive. Raises as `compact_chain` does."""
    return [archived for chain in find_chains(storage) for archived in compact_chain(storage, chain, size, on_archive)]


def compact_chain(
    storage: Storage, chain: Chain, size: ArchiveSize = ArchiveSize(), on_archive: Callable[[Archived], None] | None = None
) -> list[Archived]:
    """Archive the chain's slots from where its archive ends, as many archives as `size` makes of them, and delete those slots.

    Safe beside ingestors, readers and other compactions; a slot is deleted only below the archive's head. Raises
    ArchiveUnprovenError when an archive does not hold what its slots did, and what the storage raises; called again,
    it goes on where it was.
    """
    made = []
    remove_archived(storage, chain)
    while footers := _next_run(storage, chain, size):
        if (archived := _archive(storage, chain, footers)) is not None:
            made.append(archived)
            if on_archive is not None:
                on_archive(archived)
        remove_archived(storage, chain)
    return made


def remove_archived(storage: Storage, chain: Chain) -> None:
    """Delete what the walk has left behind: slots below the archive's head, and files there that no record names."""
    newest = newest_record(storage, chain)
    if newest is None:
        return
    head = slot_name(newest.next_offset)
    for name in storage.list_after(chain.folder):
        if name >= head:
            break
        storage.delete(f"{chain.folder}/{name}")
    for folder in contents_folders(chain):
        names = [name for name in storage.list_after(folder) if name < head]
        rivals = {one for pair in pairwise(names) if _place(pair[0]) == _place(pair[1]) for one in pair}
        for name in sorted(rivals):
            if name != read_record(storage, chain, _place(name)).file_name:
                storage.delete(f"{folder}/{name}")


def _next_run(storage: Storage, chain: Chain, size: ArchiveSize) -> list[SlotFooter]:
    """The footers the next archive is made of; none when there are too few slots yet."""
    footers: list[SlotFooter] = []
    rows = 0
    for slot in walk(storage, chain, ArchiveHead(storage, chain).offset):
        if footers and slot.footer.schema_version != footers[0].schema_version:
            return footers
        footers.append(slot.footer)
        rows += slot.footer.rows
        if rows >= size.rows or len(footers) >= size.slots:
            return footers
    return footers if size.is_partial else []


def _archive(storage: Storage, chain: Chain, footers: Sequence[SlotFooter]) -> Archived | None:
    """Put the archive of these slots; None when another compaction was first, whose archive stands."""
    record, bars = _merge(storage, chain, footers)
    storage.put_if_absent(bars_key(chain, record), bars)
    storage.put_if_absent(footers_key(chain, record), encode_footers(footers))
    try:
        prove(storage, chain, record)
    except ObjectMissingError:
        if storage.exists(record_key(chain, record.position)):
            return None  # we slept, and what we wrote was cleared away as that of the archive that does not stand
        raise
    is_won = storage.put_if_absent(record_key(chain, record.position), record.encode())
    return Archived(chain, record, len(bars)) if is_won else None


def _merge(storage: Storage, chain: Chain, footers: Sequence[SlotFooter]) -> tuple[ArchiveRecord, bytes]:
    """The record of these slots, and the file of their bars."""
    rows = _landed_rows(storage, chain, footers)
    record = ArchiveRecord(
        position=footers[0].position,
        next_offset=footers[-1].next_offset,
        last_position=footers[-1].position,
        slots=len(footers),
        rows=rows.num_rows,
        checksum=checksum_of(rows, footers),
    )
    return record, encode_bars(rows)


def prove(storage: Storage, chain: Chain, record: ArchiveRecord) -> None:
    """Read the archive's files back from the storage. Raises ArchiveUnprovenError unless they are what `record` says.

    That is: slots without a gap from its first offset to its last, every slot's number of bars within its own
    offsets, and the checksum of all bars and footers.
    """
    rows = decode_bars(storage.get(bars_key(chain, record)))
    footers = decode_footers(storage.get(footers_key(chain, record)))
    _check_slots(chain, rows, footers)
    found = (footers[0].position, footers[-1].next_offset, len(footers), rows.num_rows, checksum_of(rows, footers))
    said = (record.position, record.next_offset, record.slots, record.rows, record.checksum)
    if found != said:
        raise ArchiveUnprovenError(f"{storage.uri(bars_key(chain, record))} holds {found}, and its slots hold {said}")


def _landed_rows(storage: Storage, chain: Chain, footers: Sequence[SlotFooter]) -> pa.Table:
    reader = SlotReader(storage)
    tables = [reader.read(chain, footer.position, footer.next_offset).cast(LANDED_SCHEMA) for footer in footers]
    rows = pa.concat_tables(tables)
    _check_slots(chain, rows, footers)
    return rows


def _check_slots(chain: Chain, rows: pa.Table, footers: Sequence[SlotFooter]) -> None:
    """Raise ArchiveUnprovenError unless the slots are gapless and each has its bars, in the order of their offsets."""
    for one, following in pairwise(footers):
        if one.next_offset != following.position:
            raise ArchiveUnprovenError(f"{chain.path}: the slot at {one.position} is followed by one at {following.position}")
    offsets = rows["offset"].to_numpy()
    ends = offsets.searchsorted([footers[0].position, *(footer.next_offset for footer in footers)])
    if not (offsets[1:] > offsets[:-1]).all():
        raise ArchiveUnprovenError(f"{chain.path} from {footers[0].position} on: offsets are not in order")
    for footer, first, end in zip(footers, ends[:-1], ends[1:], strict=True):
        if end - first != footer.rows:
            raise ArchiveUnprovenError(
                f"{chain.path}: the slot at {footer.position} has {end - first} bars and says {footer.rows}"
            )
    if ends[-1] - ends[0] != rows.num_rows:
        raise ArchiveUnprovenError(f"{chain.path} from {footers[0].position} on: bars lie outside of their slots")


def _place(name: str) -> int:
    """The position in the name of an archive's file."""
    return int(name.partition("-")[0])
