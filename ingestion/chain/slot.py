"""A slot's name and footer, and the chain they belong to."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.chain.seal import write_sealed
from tickhouse.bar import LANDED_SCHEMA

LANDING = "landing"
DEAD_LETTER = "dead_letter"
ARCHIVE = "archive"
GENESIS = "_genesis.json"
_FOOTER_KEY = b"tickhouse.slot"
_CHAIN_PATH = re.compile(r"topic=([^/]+)/id=([^/]+)/partition=(\d+)")


@dataclass(frozen=True, order=True)
class Chain:
    """One partition of one incarnation of a topic."""

    topic: str
    topic_id: str
    partition: int

    def __post_init__(self) -> None:
        if "/" in self.topic + self.topic_id:
            raise ValueError(f"topic {self.topic} with id {self.topic_id} cannot be a folder: it holds a slash")

    @classmethod
    def of_path(cls, path: str) -> Self:
        """The chain whose `path` this is. Raises ValueError when it is none's."""
        if (found := _CHAIN_PATH.fullmatch(path)) is None:
            raise ValueError(f"not the path of a chain: {path!r}")
        return cls(found[1], found[2], int(found[3]))

    @property
    def path(self) -> str:
        """The chain's folder below any of the lake's areas, without a trailing slash."""
        return f"topic={self.topic}/id={self.topic_id}/partition={self.partition}"

    @property
    def folder(self) -> str:
        """The folder of its genesis and slots."""
        return f"{LANDING}/{self.path}"

    @property
    def genesis_key(self) -> str:
        return f"{self.folder}/{GENESIS}"

    def slot_key(self, position: int) -> str:
        return f"{self.folder}/{slot_name(position)}.parquet"


@dataclass(frozen=True)
class Genesis:
    """Where and when a chain starts: its first offset, and the time (UTC) at which it was begun."""

    position: int
    begun_at: datetime

    def encode(self) -> bytes:
        return json.dumps({"position": self.position, "begun_at": self.begun_at.isoformat()}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        values = json.loads(data)
        return cls(int(values["position"]), datetime.fromisoformat(values["begun_at"]))


@dataclass(frozen=True)
class SlotFooter:
    """What a slot says of itself, in its Parquet footer.

    The slot covers the offsets from `position` to `next_offset` − 1, of which `rows` were bars and
    `dead_letters` were not; the rest were transaction markers or aborted records. `replayed` of the bars and dead
    letters together carry an origin: they are dead letters sent again. `lost` of its offsets were given up: Kafka had
    dropped them before they landed, and somebody said to go on without.
    """

    position: int
    next_offset: int
    rows: int
    dead_letters: int
    dead_letter_key: str | None
    writer: str
    schema_version: int
    first_ts: str | None
    last_ts: str | None
    event_months: tuple[str, ...]
    lost: int = 0
    replayed: int = 0

    def metadata(self) -> dict[bytes, bytes]:
        """This footer as a Parquet file's key-value metadata."""
        return {_FOOTER_KEY: self.encode()}

    def encode(self) -> bytes:
        """The footer as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes | str) -> Self:
        """The footer that `encode` made; what an older one does not say has its default."""
        values = json.loads(data)
        return cls(**{**values, "event_months": tuple(values["event_months"])})

    @classmethod
    def read(cls, metadata: dict[bytes, bytes] | None) -> Self:
        """The footer in a Parquet file's key-value metadata. Raises ValueError when there is none."""
        if not metadata or _FOOTER_KEY not in metadata:
            raise ValueError("not a slot: the Parquet footer carries no tickhouse.slot entry")
        return cls.decode(metadata[_FOOTER_KEY])


def slot_name(position: int) -> str:
    """A position as 20 digits, so that names sort as positions do."""
    return f"{position:020d}"


def encode_slot(rows: pa.Table, footer: SlotFooter) -> bytes:
    """The slot as a sealed Parquet file: zstd, dictionary on text and prices, delta on times and offsets.

    `rows` are in LANDED_SCHEMA, and texts may be codes of a dictionary already: the file is the same, and quicker made.
    """
    names = rows.schema.names
    deltas = [name for name in names if name in ("ts", "produced_at", "offset", "kafka_timestamp")]
    return write_sealed(
        rows,
        {**_stored_schema(names), **footer.metadata()},
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in names if name not in deltas],
        column_encoding=dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
        store_schema=False,
    )


def _stored_schema(names: list[str]) -> dict[bytes, bytes]:
    """The metadata by which Arrow reads the file in LANDED_SCHEMA, whatever dictionaries it was written from."""
    schema = pa.schema([LANDED_SCHEMA.field(name) for name in names], metadata=LANDED_SCHEMA.metadata)
    return {**schema.metadata, b"ARROW:schema": base64.b64encode(schema.serialize().to_pybytes())}


def read_slot(path: Path) -> pa.Table:
    """The rows of a slot's file, `as_landed`."""
    return as_landed(pq.read_table(path, partitioning=None))


def as_landed(rows: pa.Table) -> pa.Table:
    """The rows of a landed file in LANDED_SCHEMA; a column that is younger than the file is null."""
    for column in LANDED_SCHEMA:
        if column.name not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows.select(LANDED_SCHEMA.names)
