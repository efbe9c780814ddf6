"""For tests of dead letters: chains whose slots the real lander lands, message by message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingesting import VERSION, bar_message

from ingestion.batch import Limits
from ingestion.chain.put import begin_chain, find_end
from ingestion.chain.slot import Chain
from ingestion.lander import PartitionLander
from ingestion.origin import ORIGIN_HEADER, Origin
from tickhouse.storage import Storage

BEGUN_AT = datetime(2026, 1, 1, tzinfo=UTC)
BEGUN_MS = 1_767_225_600_000
_LIMITS = Limits(rows=1000, bytes=1_000_000, seconds=1.0)


@dataclass(frozen=True)
class Said:
    """A message as a producer sends it; `ms` is its Kafka timestamp, counted from BEGUN_AT."""

    value: bytes | None
    ms: int = 0
    key: bytes | None = b"AAPL"
    headers: Sequence[tuple[str, bytes | None]] = tuple(VERSION)


def poison(number: int = 0, ms: int = 0) -> Said:
    return Said(b"poison %d" % number, ms)


def good(number: int = 0, ms: int = 0) -> Said:
    return Said(bar_message(number), ms)


def again(said: Said, topic_id: str, partition: int, offset: int, ms: int = 0) -> Said:
    """The message as a replay of what first stood there."""
    origin = Origin(topic_id, partition, offset, BEGUN_MS + ms)
    return Said(said.value, said.ms, said.key, [*said.headers, (ORIGIN_HEADER, origin.encode())])


def land(storage: Storage, messages: Sequence[Said], topic_id: str = "now", partition: int = 0, age_days: int = 0) -> None:
    """Land the messages as the next slot of a chain of topic `bars`, whose first is begun so many days before BEGUN_AT."""
    chain = Chain("bars", topic_id, partition)
    begin_chain(storage, chain, 0, BEGUN_AT - timedelta(days=age_days))
    end = find_end(storage, chain)
    assert end is not None
    lander = PartitionLander(storage, chain, end, _LIMITS, "test")
    for offset, said in enumerate(messages, end.next_offset):
        lander.batch.append(offset, BEGUN_MS + said.ms, said.key, said.value, list(said.headers), 0.0)
    lander.land()
