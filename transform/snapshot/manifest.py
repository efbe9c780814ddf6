"""The manifest of a published snapshot, and the chain of manifests."""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from tickhouse.storage import Storage
from transform.marts import FCT_INDICATOR

MANIFESTS = "published/manifests"
_DATA = "published/data"
SCHEMA_VERSION = 2
"""Version 1 knew one file a mart: no contents' hash, no symbols, no cuts. It is read as it is."""


_LOOKS_AHEAD = 4
"""Numbers follow each other without holes, so the next one's absence tells the newest: a listing looks at all that are kept."""


class NewerSchemaError(RuntimeError):
    """A snapshot was published by a newer tickhouse than this one."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(_Record):
    """One immutable Parquet file of a mart: a cell of its layout, sorted by the mart's key.

    `content` is the hash of its rows (`transform.snapshot.content`), `first_symbol` and `last_symbol` are those of its rows: all
    None in a file of version 1, the symbols also without rows, or where rows have none. `symbols_from` is where the cell begins.
    """

    key: str
    rows: int
    bytes: int
    sha256: str
    content: str | None = None
    first_symbol: str | None = None
    last_symbol: str | None = None
    era: int = 0
    symbols_from: str = ""

    def may_hold(self, symbol: str) -> bool:
        """Whether rows of the symbol can be in the file."""
        if self.first_symbol is None or self.last_symbol is None:
            return self.content is None
        return self.first_symbol <= symbol <= self.last_symbol


class PublishedMart(_Record):
    """A mart as of one snapshot. `max_change_seq` is 0 of one whose rows carry none.

    `cuts` maps an interval to the first ts (UTC) of every era but the first: see `transform.snapshot.layout`.
    """

    rows: int
    max_change_seq: int
    files: tuple[PublishedFile, ...]
    cuts: dict[str, tuple[datetime, ...]] = {}

    @property
    def content(self) -> str | None:
        """The hash of all its rows; None where a file of version 1 has none."""
        hashes = [int(file.content, 16) for file in self.files if file.content is not None]
        return f"{sum(hashes) % 2**64:016x}" if len(hashes) == len(self.files) else None


class Balance(_Record):
    """Where every landed bar is: landed = current + superseded + quarantined."""

    landed: int
    current: int
    superseded: int
    quarantined: int


class Manifest(_Record):
    """One snapshot: its place in the chain, what it covers, and its files.

    `watermark` maps a chain's path to the offset below which everything landed is in this snapshot. `build_id` is that of
    the build in `control.build`, None in version 1. Times are UTC.
    """

    schema_version: int = SCHEMA_VERSION
    number: int
    parent: int | None
    build_seq: int
    build_id: str | None = None
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


def data_folder(mart: str) -> str:
    """Where the mart's files are, named after the number of the snapshot that they were written for."""
    return f"{_DATA}/{mart}"


def latest_number(storage: Storage, known: int | None = None) -> int | None:
    """The highest published number; None before the first publication. To know one that was published saves a listing."""
    if known is not None:
        for number in range(known + 1, known + 1 + _LOOKS_AHEAD):
            if not storage.exists(manifest_key(number)):
                return number - 1
    after = manifest_name(known) if known is not None else ""
    newest = known
    for name in storage.list_after(MANIFESTS, after):
        newest = int(name.split(".")[0])
    return newest


def read_manifest(storage: Storage, number: int) -> Manifest:
    """Raises ObjectMissingError when that snapshot was never published, or is no longer kept, and NewerSchemaError."""
    return parse_manifest(storage.get(manifest_key(number)))


def parse_manifest(data: bytes) -> Manifest:
    """Raises NewerSchemaError for what a newer version published, ValueError for what is no manifest."""
    version = json.loads(data).get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"this lake's snapshots are of a newer tickhouse (schema version {version}; this one reads up to {SCHEMA_VERSION}): "
            "upgrade tickhouse"
        )
    return Manifest.model_validate_json(data)


def latest_manifest(storage: Storage) -> Manifest | None:
    """The newest snapshot's manifest; None before the first publication."""
    number = latest_number(storage)
    return None if number is None else read_manifest(storage, number)
