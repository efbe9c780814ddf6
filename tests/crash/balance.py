"""What must hold after every round: produced = landed + dead letters, by place and contents, each once, nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crash.feed import Produced

from ingestion.chain.walk import SlotReader, find_chains, read_genesis, walk
from ingestion.dead_letter import read_dead_letters
from tickhouse.settings import Settings
from tickhouse.storage import open_storage

Place = tuple[int, int]
Found = tuple[Place, dict[str, Any]]


@dataclass(frozen=True)
class Balance:
    """Messages, counted by where they were found."""

    produced: int = 0
    landed: int = 0
    dead_letters: int = 0
    lost: int = 0
    twice: int = 0

    def __add__(self, other: Balance) -> Balance:
        return Balance(*(getattr(self, name) + getattr(other, name) for name in self.__match_args__))

    def __str__(self) -> str:
        sides = f"{self.produced:,} produced = {self.landed:,} landed + {self.dead_letters:,} dead letters"
        return f"{sides}, {self.lost} lost, {self.twice} twice"


def weigh(settings: Settings, produced: Sequence[Produced]) -> Balance:
    """The balance of a lake that holds one topic, of which `produced` is all that counts.

    Raises AssertionError when a message is lost, there twice, there though nobody produced it, or not as it was
    produced, and when a chain has a gap or an overlap.
    """
    bars, letters = _read(settings)
    expected = {(one.partition, one.offset): one for one in produced}
    assert len(expected) == len(produced)
    found = Counter([*(place for place, _ in bars), *(place for place, _ in letters)])
    lost = sorted(expected.keys() - found.keys())
    twice = sorted(place for place, times in found.items() if times > 1)
    balance = Balance(len(produced), len(bars), len(letters), len(lost), len(twice))
    assert not lost, f"{balance}: lost are partition, offset {lost[:10]}"
    assert not twice, f"{balance}: there twice are partition, offset {twice[:10]}"
    assert (strange := sorted(found.keys() - expected.keys())) == [], f"{balance}: nobody produced {strange[:10]}"
    _assert_same(bars, {place: _bar(one, settings) for place, one in expected.items() if one.is_bar})
    _assert_same(letters, {place: _letter(one, settings) for place, one in expected.items() if not one.is_bar})
    return balance


def _assert_same(found: Iterable[Found], expected: dict[Place, dict[str, Any]]) -> None:
    for place, contents in found:
        assert place in expected, f"partition, offset {place} is on the wrong side, or nobody's: {contents}"
        produced = expected[place]
        others = contents.keys() - produced.keys()  # what a message that was no replay leaves empty
        contents = {name: value for name, value in contents.items() if name not in others or value is not None}
        assert contents == produced, f"partition, offset {place} is {contents}, and was produced as {produced}"


def _read(settings: Settings) -> tuple[list[Found], list[Found]]:
    """The bars of every slot that a walk reaches, and the dead letters of every file that such a slot names."""
    storage, bars, letters = open_storage(settings), list[Found](), list[Found]()
    reader = SlotReader(storage)
    for chain in find_chains(storage):
        at = read_genesis(storage, chain).position
        for slot in walk(storage, chain):
            footer = slot.footer
            assert footer.position == at, f"{slot.key} does not follow {at}"
            rows, rejected = reader.read(chain, at, footer.next_offset), read_dead_letters(storage, footer)
            assert (rows.num_rows, rejected.num_rows) == (footer.rows, footer.dead_letters), slot.key
            at = footer.next_offset
            for kind, table in ((bars, rows), (letters, rejected)):
                found = [_placed(row) for row in table.to_pylist()]
                assert all(partition == chain.partition and footer.position <= offset < at for (partition, offset), _ in found)
                kind += found
    for _, letter in letters:
        assert letter.pop("stage") and letter.pop("reason")
    return bars, letters


def _placed(row: dict[str, Any]) -> Found:
    assert row.pop("topic_id")
    return (row.pop("partition"), row.pop("offset")), row


def _bar(one: Produced, settings: Settings) -> dict[str, Any]:
    fields = json.loads(one.value or b"")
    times = {name: datetime.fromisoformat(fields[name]) for name in ("ts", "produced_at")}
    return {**fields, **times, "topic": settings.kafka.topic, "kafka_timestamp": _time(one)}


def _letter(one: Produced, settings: Settings) -> dict[str, Any]:
    headers = [{"name": name, "value": value} for name, value in one.headers]
    of_kafka = {"topic": settings.kafka.topic, "kafka_timestamp": _time(one)}
    return {**of_kafka, "key": one.key, "value": one.value, "headers": headers}


def _time(one: Produced) -> datetime:
    return datetime.fromtimestamp(one.timestamp / 1000, UTC)
