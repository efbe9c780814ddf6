"""How many rows have reached each stage, counted from what each stage left in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.walk import SlotReader, find_chains, read_genesis, walk
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.marts import FCT_ALERT
from transform.progress import read_progress
from transform.snapshot.manifest import Manifest, latest_manifest
from transform.validation.record import walk_records


@dataclass(frozen=True)
class Stages:
    """Rows at each stage. `published` counts what the newest snapshot accounts for: published + superseded + quarantined."""

    produced: int = 0
    landed: int = 0
    validated: int = 0
    modelled: int = 0
    published: int = 0

    def as_dict(self) -> dict[str, int]:
        """Stage → rows, in the order of the data's way."""
        return {"produced": self.produced, "landed": self.landed, "validated": self.validated} | {
            "modelled": self.modelled,
            "published": self.published,
        }


@dataclass(frozen=True)
class Account:
    """Where every bar the newest snapshot covers is, and what was found in them."""

    snapshots: int = 0
    published: int = 0
    superseded: int = 0
    quarantined: int = 0
    alerts: int = 0

    @property
    def total(self) -> int:
        return self.published + self.superseded + self.quarantined


class StageCounter:
    """Looks again and again, each time walking only what came since the last look."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._landed: dict[str, tuple[int, int]] = {}
        self._validated: dict[str, tuple[int, int]] = {}
        self._manifest: Manifest | None = None
        self.waits: list[float] = []
        """Seconds from produced to published of every bar that was published between two looks, or before the first."""

    def look(self, produced: int) -> Stages:
        """The rows at each stage now; `produced` is what the producer knows."""
        for chain in find_chains(self._storage):
            begun = read_genesis(self._storage, chain).position
            end, rows = self._landed.get(chain.path, (begun, 0))
            for slot in walk(self._storage, chain, end):
                end, rows = slot.footer.next_offset, rows + slot.footer.rows
            self._landed[chain.path] = (end, rows)
            end, rows = self._validated.get(chain.path, (begun, 0))
            for record in walk_records(self._storage, chain, end):
                end, rows = record.next_offset, rows + record.landed_rows
            self._validated[chain.path] = (end, rows)
        progress = read_progress(self._settings)
        self._look_for_snapshot()
        return Stages(
            produced=produced,
            landed=sum(rows for _end, rows in self._landed.values()),
            validated=sum(rows for _end, rows in self._validated.values()),
            modelled=0 if progress is None else progress.landed_rows,
            published=self.account.total,
        )

    @property
    def account(self) -> Account:
        """The newest snapshot the last look saw; all zero before the first."""
        if self._manifest is None:
            return Account()
        balance, alerts = self._manifest.balance, self._manifest.marts.get(FCT_ALERT)
        return Account(
            snapshots=self._manifest.number + 1,
            published=balance.current,
            superseded=balance.superseded,
            quarantined=balance.quarantined,
            alerts=0 if alerts is None else alerts.rows,
        )

    def _look_for_snapshot(self) -> None:
        newest = latest_manifest(self._storage)
        if newest is None or (self._manifest is not None and newest.number == self._manifest.number):
            return
        before = {} if self._manifest is None else self._manifest.watermark
        self.waits += published_waits(self._storage, before, newest)
        self._manifest = newest


def published_waits(storage: Storage, before: Mapping[str, int], manifest: Manifest) -> list[float]:
    """Seconds from produced to published of every bar that lies between the watermark `before` and the manifest's."""
    waits: list[float] = []
    reader = SlotReader(storage)
    for chain in find_chains(storage):
        end = manifest.watermark.get(chain.path, 0)
        for slot in walk(storage, chain, before.get(chain.path)):
            if slot.footer.position >= end:
                break
            produced_at = reader.read(chain, slot.footer.position, slot.footer.next_offset)["produced_at"]
            microseconds = pc.subtract(pa.scalar(manifest.published_at, produced_at.type), produced_at).cast(pa.int64())
            waits += pc.divide(microseconds.cast(pa.float64()), 1e6).to_pylist()
    return waits
