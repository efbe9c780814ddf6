"""How far each part has come, partition by partition, found from hints: no status walks a whole history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from ingestion.chain.slot import DEAD_LETTER, GENESIS, LANDING, Chain, SlotFooter, slot_name
from ingestion.chain.walk import find_chains, read_footer, read_genesis, walk
from ingestion.ends import committed_slots, topic_ends
from ingestion.loss import given_up
from ingestion.topic import BrokerUnreachableError, TopicMissingError, describe_topic
from tickhouse.address import is_listening
from tickhouse.settings import Settings
from tickhouse.storage import ObjectMissingError, Storage
from transform.snapshot.manifest import Manifest, latest_manifest
from transform.validation.record import validated_end
from transform.validation.refusal import Refusal, read_refusal

_ANSWER_SECONDS = 3.0
_LOOKED_BACK = 64


@dataclass(frozen=True)
class KafkaSide:
    """What the broker says: the topic's id, each partition's end, and the last slot that the group heard of.

    `unknown` says why nothing is known of it.
    """

    topic_id: str | None = None
    ends: Mapping[int, int] = field(default_factory=dict)
    slots: Mapping[int, int] = field(default_factory=dict)
    unknown: str | None = None


@dataclass(frozen=True)
class LastSlot:
    """The last slot of a chain that holds bars. `newest_at` (UTC) is when Kafka took the newest; None when nothing tells."""

    footer: SlotFooter
    newest_at: datetime | None

    def age(self, now: datetime) -> timedelta | None:
        """How long ago (`now` is UTC) Kafka took its newest bar."""
        return None if self.newest_at is None else now - self.newest_at


@dataclass(frozen=True)
class PartitionStatus:
    """The offset below which everything has come through each stage.

    `broker_end` is None when no broker was asked, `last_slot` when no hint led to it. `given_up` are the slots that stand
    for offsets which Kafka dropped before they landed. `refusal` holds validation up.
    """

    chain: Chain
    broker_end: int | None
    landed_end: int
    validated_end: int
    published_end: int
    last_slot: LastSlot | None = None
    dead_letter_files: int = 0
    given_up: tuple[SlotFooter, ...] = ()
    refusal: Refusal | None = None

    @property
    def lag(self) -> int | None:
        """Offsets the topic holds and the chain does not; None when the broker's end is not known."""
        return None if self.broker_end is None else max(0, self.broker_end - self.landed_end)


@dataclass(frozen=True)
class Status:
    """Every landed partition, the newest snapshot (None before the first), why Kafka's side is missing, where was looked."""

    partitions: tuple[PartitionStatus, ...]
    manifest: Manifest | None
    kafka_unknown: str | None = None
    landing: str | None = None


def read_kafka_side(settings: Settings) -> KafkaSide:
    """Ask the broker of the settings; what it does not say is missing, and why."""
    servers = settings.kafka.bootstrap_servers
    try:
        if not any(_is_listening(address) for address in servers.split(",")):  # Kafka's client would wait out its time
            raise BrokerUnreachableError(f"no broker answers at {servers}: nothing listens there")
        topic = describe_topic(settings, _ANSWER_SECONDS)
        return KafkaSide(topic.topic_id, topic_ends(settings, topic), committed_slots(settings, topic))
    except (BrokerUnreachableError, TopicMissingError) as reason:
        return KafkaSide(unknown=str(reason))


def read_status(storage: Storage, kafka: KafkaSide) -> Status:
    """Read the lake, from where the group and the newest snapshot say that its chains are by now."""
    manifest = latest_manifest(storage)
    published = {} if manifest is None else manifest.watermark
    partitions = []
    for chain in find_chains(storage):
        start = published.get(chain.path)
        published_end = read_genesis(storage, chain).position if start is None else start
        partitions.append(_partition(storage, chain, published_end, kafka if chain.topic_id == kafka.topic_id else KafkaSide()))
    return Status(tuple(partitions), manifest, kafka.unknown, storage.uri(LANDING))


def _partition(storage: Storage, chain: Chain, published_end: int, kafka: KafkaSide) -> PartitionStatus:
    footers = _footers(storage, chain, published_end, kafka.slots.get(chain.partition))
    landed_end = footers[-1].next_offset if footers else published_end
    last = _last_with_bars(storage, chain, footers)
    validated = validated_end(storage, chain, published_end)
    return PartitionStatus(
        chain=chain,
        broker_end=kafka.ends.get(chain.partition),
        landed_end=landed_end,
        validated_end=validated,
        published_end=published_end,
        last_slot=None if last is None else LastSlot(last, _newest_at(storage, chain, last)),
        dead_letter_files=sum(1 for _name in storage.list_after(f"{DEAD_LETTER}/{chain.path}")),
        given_up=tuple(given_up(storage, chain)),
        refusal=read_refusal(storage, chain, validated) if validated < landed_end else None,
    )


def _footers(storage: Storage, chain: Chain, published_end: int, hint: int | None) -> list[SlotFooter]:
    """The chain's last footers: from the hint on where that is a slot, else those that are not published."""
    if hint is not None and (found := [slot.footer for slot in walk(storage, chain, hint)]):
        return found
    return [slot.footer for slot in walk(storage, chain, published_end)]


def _last_with_bars(storage: Storage, chain: Chain, footers: list[SlotFooter]) -> SlotFooter | None:
    """The last slot that holds bars, not a transaction's markers alone; else the last one, None without any.

    Looked for by name a little way back: a walk goes forward only, and this is for display.
    """
    for footer in reversed(footers):
        if footer.rows:
            return footer
    if not footers:
        return None
    before = [name for name in storage.list_after(chain.folder) if name < slot_name(footers[0].position)]
    for name in reversed(before[-_LOOKED_BACK:]):
        found = None if name == GENESIS else read_footer(storage, chain, int(Path(name).stem))
        if found is not None and found.rows:
            return found
    return footers[-1]


def _newest_at(storage: Storage, chain: Chain, footer: SlotFooter) -> datetime | None:
    try:
        metadata = pq.read_metadata(storage.local_path(chain.slot_key(footer.position)))
    except (ObjectMissingError, FileNotFoundError):
        return None  # compacted by now
    column = metadata.schema.names.index("kafka_timestamp")
    groups = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
    return max((group.max for group in groups if group is not None and group.has_min_max), default=None)


def _is_listening(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    return is_listening(host.strip("[]"), int(port)) if port.isdigit() else True
