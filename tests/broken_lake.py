"""A copy of a lake that adds up, to be broken on purpose; and dead letters, landed without Kafka."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from chain_slots import bars_at
from lake import BEGUN_AT, Lake

from ingestion.chain.archive import newest_record
from ingestion.chain.slot import SlotFooter, encode_slot
from ingestion.dead_letter import DEAD_LETTER_SCHEMA, write_dead_letters
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.proof.finding import Finding
from transform.proof.verify import Verification, verify
from transform.snapshot.content import content_hash
from transform.snapshot.manifest import latest_manifest, manifest_key
from transform.validation.record import walk_records


def nobody(_stage: str, _done: int, _total: int | None) -> None:
    """Who watches is tested elsewhere."""


class Copy:
    """A copy of a sound lake, to be broken: objects by their keys."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self.settings = settings
        self.storage = open_storage(settings)
        self.chain = lake.chain
        manifest = latest_manifest(self.storage)
        assert manifest is not None
        self.manifest = manifest
        self.manifest_key = manifest_key(manifest.number)
        record = newest_record(self.storage, self.chain)
        assert record is not None
        self.archive = record
        self.slots = [one for one in walk_records(self.storage, self.chain) if one.position >= record.next_offset]

    def verify(self) -> Verification:
        return verify(self.settings, self.storage, nobody)

    def named(self) -> dict[str, Finding]:
        """What is found, by the key that it names."""
        found = self.verify().findings
        assert all(one.expected and one.found and one.remedy for one in found)
        return {one.key: one for one in reversed(found)}

    def path(self, key: str) -> Path:
        return self.storage.local_path(key)

    def flip(self, key: str, place: float = 0.5) -> None:
        """Change one bit of a byte; `place` is a share of the file."""
        data = bytearray(self.path(key).read_bytes())
        data[int(place * len(data))] ^= 0x10
        self.path(key).write_bytes(data)

    def change_json(self, key: str, **values: object) -> None:
        self.path(key).write_text(json.dumps(json.loads(self.path(key).read_text()) | values))

    def slot_key(self, number: int) -> str:
        return self.chain.slot_key(self.slots[number].position)

    def file_key(self, mart: str) -> str:
        return self.manifest.marts[mart].files[0].key

    def letters_key(self) -> str:
        keys = [self.footer(number).dead_letter_key for number in range(len(self.slots))]
        return next(key for key in keys if key is not None)

    def quarantine_key(self) -> str:
        return next(one.quarantine_key for one in self.slots if one.quarantine_key is not None)

    def footer(self, number: int) -> SlotFooter:
        return SlotFooter.read(pq.read_metadata(self.path(self.slot_key(number))).metadata)

    def publish_instead(self, mart: str, change: Callable[[pa.Table], pa.Table], *, is_hashed: bool = True) -> None:
        """Put other rows into a published file, and let the manifest vouch for them, so that only they themselves can tell."""
        key = self.file_key(mart)
        rows = change(pq.read_table(self.path(key), partitioning=None))
        pq.write_table(rows, self.path(key), compression="lz4")
        data = self.path(key).read_bytes()
        manifest = json.loads(self.path(self.manifest_key).read_text())
        said = manifest["marts"][mart]
        said["rows"] = said["files"][0]["rows"] = rows.num_rows
        said["files"][0] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if is_hashed:
            symbols = rows["symbol"].to_pylist()
            said["files"][0] |= {"content": content_hash(rows), "first_symbol": min(symbols), "last_symbol": max(symbols)}
        self.path(self.manifest_key).write_text(json.dumps(manifest))


def letters_at(lake: Lake, offsets: list[int]) -> pa.Table:
    row = {
        "topic": lake.chain.topic,
        "topic_id": lake.chain.topic_id,
        "partition": lake.chain.partition,
        "key": None,
        "headers": [],
    }
    row |= {"kafka_timestamp": BEGUN_AT, "value": b"{", "stage": "json", "reason": "no JSON object"}
    return pa.Table.from_pylist([{**row, "offset": offset} for offset in offsets], schema=DEAD_LETTER_SCHEMA)


def land_letters(lake: Lake, count: int) -> None:
    """Land a slot of so many dead letters and no bar."""
    first, end = lake.position, lake.position + count
    key = write_dead_letters(lake.storage, lake.chain, first, letters_at(lake, list(range(first, end))), "test")
    footer = SlotFooter(first, end, 0, count, key, "test", 1, None, None, ())
    assert lake.storage.put_if_absent(lake.chain.slot_key(first), encode_slot(bars_at([]), footer))
    lake.position = end
