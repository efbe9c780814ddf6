"""The manifest of a published snapshot, and the chain of manifests."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from tickhouse.storage import Storage
from transform.marts import FCT_INDICATOR

MANIFESTS = "published/manifests"
SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(_Record):
    """One immutable Parquet file of a mart."""

    key: str
    rows: int
    bytes: int
    sha256: str


class PublishedMart(_Record):
    """A mart as of one snapshot. `max_change_seq` is 0 of one whose rows carry none."""

    rows: int
    max_change_seq: int
    files: tuple[PublishedFile, ...]


class Balance(_Record):
    """Where every landed bar is: landed = current + superseded + quarantined."""

    landed: int
    current: int
    superseded: int
    quarantined: int


class Manifest(_Record):
    """One snapshot: its place in the chain, what it covers, and its files.

    `watermark` maps a chain's path to the offset below which everything landed is in this snapshot.
    Times are UTC.
    """

    schema_version: int = SCHEMA_VERSION
    number: int
    parent: int | None
    build_seq: int
    published_at: datetime
    latest_produced_at: datetime | None
    watermark: dict[str, int]
    balance: Balance
    marts: dict[str, PublishedMart]

    @property
    def derived_bars(self) -> int:
        """How many of the published bars did not land but were derived from finer ones: all that `balance` does not hold."""
        bars = self.marts.get(FCT_INDICATOR)
        return 0 if bars is None else bars.rows - self.balance.current


def manifest_name(number: int) -> str:
    """A number as 20 digits, so that names sort as snapshots do."""
    return f"{number:020d}.json"


def manifest_key(number: int) -> str:
    return f"{MANIFESTS}/{manifest_name(number)}"


def latest_number(storage: Storage, known: int | None = None) -> int | None:
    """The highest published number, `known` or above; None before the first publication."""
    after = manifest_name(known) if known is not None else ""
    newest = known
    for name in storage.list_after(MANIFESTS, after):
        newest = int(name.split(".")[0])
    return newest


def read_manifest(storage: Storage, number: int) -> Manifest:
    """Raises ObjectMissingError when that snapshot was never published, or is no longer kept."""
    return Manifest.model_validate_json(storage.get(manifest_key(number)))


def latest_manifest(storage: Storage) -> Manifest | None:
    """The newest snapshot's manifest; None before the first publication."""
    number = latest_number(storage)
    return None if number is None else read_manifest(storage, number)
