"""Which landed slots no snapshot covers yet: what a sensor asks again and again, so a look costs what is new since the last."""

from __future__ import annotations

from collections.abc import Mapping

from ingestion.chain.slot import Chain
from ingestion.chain.walk import find_chains, read_genesis, walk
from tickhouse.storage import Storage
from transform.snapshot.manifest import latest_number, read_manifest
from transform.validation.record import validated_end


class Unpublished:
    """Looks at one lake. `known` holds chains' ends found earlier, from which they are walked on."""

    def __init__(self, storage: Storage, known: Mapping[str, int]) -> None:
        self._storage = storage
        self._known = dict(known)
        self._validated: dict[str, int] = {}
        self._number: int | None = None
        self._watermark: Mapping[str, int] = {}

    def ends(self) -> dict[str, int]:
        """The landed end of every chain that has slots which the newest snapshot does not cover."""
        number = latest_number(self._storage, self._number)
        if number is not None and number != self._number:
            self._watermark, self._number = read_manifest(self._storage, number).watermark, number
        ends = {}
        for chain in find_chains(self._storage):
            published = self._watermark.get(chain.path)
            if published is None:
                published = read_genesis(self._storage, chain).position
            end = max(published, self._known.get(chain.path, published))
            for slot in walk(self._storage, chain, end):
                end = slot.footer.next_offset
            self._known[chain.path] = end
            if end > published:
                ends[chain.path] = end
        return ends

    def are_validated(self, ends: Mapping[str, int]) -> bool:
        """Whether every slot below these ends, by chain, has its validation record. Ask for `ends` before."""
        return all(self._validated_to(path, end) for path, end in ends.items())

    def _validated_to(self, path: str, end: int) -> bool:
        known = [at for at in (self._watermark.get(path), self._validated.get(path)) if at is not None]
        reached = max(known, default=None)
        if reached is None or reached < end:
            reached = self._validated[path] = validated_end(self._storage, Chain.of_path(path), reached)
        return reached >= end
