"""A chain walked for proof: on behind what is missing or damaged, so that all of it is named and not the first only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise

import pyarrow as pa

from ingestion.chain.archive import (
    ArchiveRecord,
    archive_folder,
    bars_key,
    checksum_of,
    contents_folders,
    footers_key,
    record_key,
)
from ingestion.chain.slot import DEAD_LETTER, LANDING, Chain, Genesis, SlotFooter, as_landed, slot_name
from ingestion.chain.walk import read_footer
from tickhouse.storage import Storage
from transform.proof.files import LakeFiles
from transform.proof.finding import RESTORE
from transform.proof.slots import ProvenSlot, prove_slot
from transform.validation.record import record_key as validation_key

_BEHIND_ARCHIVE = "restore it from a copy of the lake: without it no walk comes behind it, and its slots are gone"


def lake_chains(storage: Storage) -> list[Chain]:
    """Every chain of the lake, by (topic, topic id, partition), also one whose beginning is lost."""
    chains = []
    for topic in storage.folders(LANDING):
        for topic_id in storage.folders(f"{LANDING}/{topic}"):
            for partition in storage.folders(f"{LANDING}/{topic}/{topic_id}"):
                try:
                    chain = Chain.of_path(f"{topic}/{topic_id}/{partition}")
                except ValueError:
                    continue  # a folder of somebody else's
                if next(storage.list_after(chain.folder), None) is not None or storage.folders(chain.folder):
                    chains.append(chain)
    return sorted(chains)


class ChainWalk:
    """Walks one chain from `start`. `end` is where it has come by now; `slots` and `archives` are how many it has met.

    Behind what is missing or damaged it goes on where a validation record, another slot or the archive tells. `lost` are offsets
    that were given up, `unread` those of slots that could not be read. `watermark` is the offset below which the newest
    snapshot says that everything landed. Memory: one slot or one archive, and some 100 bytes a slot.
    """

    def __init__(self, files: LakeFiles, chain: Chain, watermark: int = 0) -> None:
        self._files = files
        self._storage = files.storage
        self._findings = files.findings
        self._watermark = watermark
        self._positions: set[int] = set()
        self._letter_keys: set[str] = set()
        self.chain = chain
        self.slots = self.archives = self.lost = self.unread = 0
        self._records = self._read_records()
        self.start = self.end = self._begin()

    def walk(self) -> Iterator[ProvenSlot]:
        """Every slot that can be read, in order; what is wrong becomes a finding."""
        while True:
            if (record := self._record_over(self.end)) is not None:
                yield from self._archive(record)
                self.end = record.next_offset
                continue
            key = self.chain.slot_key(self.end)
            data = self._files.get(key)
            if self._storage.exists(record_key(self.chain, self._archive_end())):
                self._records = self._read_records()  # compacted meanwhile: what was read may be a sleeper's
                continue
            slot = None if data is None else self._slot(key, data)
            following = self._behind(self.end) if slot is None else slot.footer.next_offset
            if following is None:
                break
            if slot is not None:
                yield slot
            elif data is None and self._storage.exists(key):
                continue  # it landed meanwhile
            else:
                if data is None:
                    self._tell_missing(following)
                self.unread += following - self.end
            self.end = following
        self._note_litter()

    def _begin(self) -> int:
        data = self._files.get(self.chain.genesis_key)
        if data is not None:
            try:
                return Genesis.decode(data).position
            except (ValueError, KeyError) as error:
                found = f"it cannot be read: {error}"
        else:
            found = "no such object"
        first = min([*self._records, *_positions(self._storage, self.chain.folder)], default=0)
        expected = f"where and when the chain begins: its first slot is at {first}"
        self._findings.add("genesis missing", self.chain.genesis_key, expected=expected, found=found, remedy=RESTORE)
        return first

    def _read_records(self) -> dict[int, ArchiveRecord]:
        records = {}
        for position in _positions(self._storage, archive_folder(self.chain), ".json"):
            key = record_key(self.chain, position)
            try:
                record = ArchiveRecord.decode(self._storage.get(key))
            except (ValueError, TypeError) as error:
                expected = "the record of an archive"
                self._findings.add("archive record damaged", key, expected=expected, found=str(error), remedy=_BEHIND_ARCHIVE)
                continue
            records[position] = record
        return records

    def _archive_end(self) -> int:
        return max((record.next_offset for record in self._records.values()), default=self.start)

    def _record_over(self, position: int) -> ArchiveRecord | None:
        return next((each for each in self._records.values() if each.position <= position < each.next_offset), None)

    def _archive(self, record: ArchiveRecord) -> Iterator[ProvenSlot]:
        self.archives += 1
        key = bars_key(self.chain, record)
        said = f"{record.rows:,} bars of {record.slots:,} slots, offsets {record.position} to {record.next_offset - 1}"
        bars = self._files.needed("archive", key, said, RESTORE)
        told = self._files.needed(
            "archive footers", footers_key(self.chain, record), f"the footers of {record.slots:,} slots", RESTORE
        )
        if bars is None or told is None:
            self.unread += record.next_offset - record.position
            return
        bars, footers = bars.sort_by("offset"), [SlotFooter.decode(text) for text in told["footer"].to_pylist()]
        if wrong := _archive_faults(record, bars, footers):
            self._findings.add("archive wrong", key, expected=said, found=wrong, remedy=RESTORE)
        landed = as_landed(bars)
        ends = landed["offset"].to_numpy().searchsorted([edge for each in footers for edge in (each.position, each.next_offset)])
        for place, footer in enumerate(footers):
            first, end = ends[2 * place : 2 * place + 2]
            yield self._met(prove_slot(self._files, self.chain, footer, landed.slice(first, end - first), key))

    def _slot(self, key: str, data: bytes) -> ProvenSlot | None:
        """The slot at the walk's end; None when it cannot be read, which is told."""
        table = self._files.rows("slot", key, data, RESTORE)
        if table is None:
            return None
        try:
            footer = SlotFooter.read(table.schema.metadata)
        except (ValueError, TypeError, KeyError) as error:
            self._findings.add("slot damaged", key, expected="a slot's footer", found=str(error), remedy=RESTORE)
            return None
        if footer.position != self.end or footer.next_offset <= self.end:
            found = f"a slot of offsets {footer.position} to {footer.next_offset - 1}"
            self._findings.add("slot wrong", key, expected=f"the slot at {self.end}", found=found, remedy=RESTORE)
            return None
        return self._met(prove_slot(self._files, self.chain, footer, as_landed(table), key))

    def _met(self, slot: ProvenSlot) -> ProvenSlot:
        self.slots += 1
        self.lost += slot.footer.lost
        self._positions.add(slot.footer.position)
        if slot.footer.dead_letter_key is not None:
            self._letter_keys.add(slot.footer.dead_letter_key)
        return slot

    def _behind(self, position: int) -> int | None:
        """Where the chain goes on behind a slot that cannot be read, as far as anything tells; None when nothing does."""
        archived = [start for start in self._records if start > position]
        if archived:
            return min(archived)
        return (
            self._validated_next(position)
            or self._slot_above(position)
            or (self._watermark if self._watermark > position else None)
        )

    def _validated_next(self, position: int) -> int | None:
        data = self._files.get(validation_key(self.chain, position))
        try:
            following = -1 if data is None else int(json.loads(data)["next_offset"])
        except (ValueError, KeyError, TypeError):
            return None  # told where records are proven
        return following if following > position else None

    def _slot_above(self, position: int) -> int | None:
        """The next slot that says it is one of its place: what somebody laid there is none."""
        for place in _positions(self._storage, self.chain.folder, ".parquet"):
            if place > position:
                try:
                    if read_footer(self._storage, self.chain, place) is not None:
                        return place
                except (ValueError, pa.ArrowException):
                    continue
        return None

    def _tell_missing(self, following: int) -> None:
        """Tell that the slot at the walk's end is missing, or what stood for it."""
        wanted = f"what covers offsets {self.end} to {following - 1}: the chain goes on behind them"
        left = [name for folder in contents_folders(self.chain) for name in self._storage.list_after(folder)]
        if following in self._records or any(name.startswith(f"{slot_name(self.end)}-") for name in left):
            kind, key, remedy = "archive record missing", record_key(self.chain, self.end), _BEHIND_ARCHIVE
        else:
            kind, key, remedy = "slot missing", self.chain.slot_key(self.end), RESTORE
        self._findings.add(kind, key, expected=wanted, found="no such object", remedy=remedy)

    def _note_litter(self) -> None:
        """Files off the walk, below its end: nobody reads them. Above it may be what is being written."""
        slots = [place for place in _positions(self._storage, self.chain.folder, ".parquet") if place < self.end]
        folder = f"{DEAD_LETTER}/{self.chain.path}"
        letters = [f"{folder}/{name}" for name in self._storage.list_after(folder) if name < slot_name(self.end)]
        for what, where, count in (
            ("slots", self.chain.folder, len(set(slots) - self._positions)),
            ("files of dead letters", folder, len(set(letters) - self._letter_keys)),
        ):
            if count and not self.unread:
                self._findings.note(f"{count:,} {what} in {where} that no walk reaches: harmless, nobody reads them")


def _archive_faults(record: ArchiveRecord, bars: pa.Table, footers: list[SlotFooter]) -> str:
    """What an archive's two files hold against its record; empty when they hold what it says."""
    if not footers:
        return "no footers"
    for one, following in pairwise(footers):
        if one.next_offset != following.position:
            return f"the slot at {one.position} ends at {one.next_offset}, and is followed by one at {following.position}"
    found = ArchiveRecord(
        footers[0].position,
        footers[-1].next_offset,
        footers[-1].position,
        len(footers),
        bars.num_rows,
        checksum_of(bars, footers),
    )
    said = asdict(record)
    return ", ".join(
        f"{name} is {value}, and its record says {said[name]}" for name, value in asdict(found).items() if value != said[name]
    )


def _positions(storage: Storage, folder: str, ending: str = "") -> list[int]:
    """The positions that are names in the folder, ascending; all else in it is passed over."""
    names = (name for name in storage.list_after(folder) if name.endswith(ending))
    return [int(stem) for stem in (name.partition(".")[0] for name in names) if len(stem) == 20 and stem.isdecimal()]
