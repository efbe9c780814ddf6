"""How far each part has come, partition by partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ingestion.chain.slot import Chain, SlotFooter
from ingestion.chain.walk import find_chains, read_genesis, walk
from ingestion.ends import topic_ends
from ingestion.loss import given_up
from ingestion.topic import describe_topic
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.snapshot.manifest import Manifest, latest_manifest
from transform.validation.record import validated_end

_ANSWER_SECONDS = 3.0


@dataclass(frozen=True)
class PartitionStatus:
    """The offset below which everything has come through each stage; `broker_end` is None when no broker was asked.

    `given_up` are the slots that stand for offsets which Kafka dropped before they landed.
    """

    chain: Chain
    broker_end: int | None
    landed_end: int
    validated_end: int
    published_end: int
    given_up: tuple[SlotFooter, ...] = ()

    @property
    def lag(self) -> int | None:
        """Offsets the topic holds that no snapshot covers; None when the broker's end is not known."""
        return None if self.broker_end is None else max(0, self.broker_end - self.published_end)


@dataclass(frozen=True)
class Status:
    """Every landed partition, and the newest snapshot (None before the first)."""

    partitions: tuple[PartitionStatus, ...]
    manifest: Manifest | None


def read_status(storage: Storage, broker_ends: Mapping[tuple[str, int], int]) -> Status:
    """Read the lake; `broker_ends` maps (topic id, partition) to the topic's end, where a broker was asked."""
    manifest = latest_manifest(storage)
    published = {} if manifest is None else manifest.watermark
    partitions = tuple(_partition(storage, chain, published, broker_ends) for chain in find_chains(storage))
    return Status(partitions, manifest)


def read_broker_ends(settings: Settings) -> dict[tuple[str, int], int]:
    """(topic id, partition) → the topic's end, as the broker of the settings has it; raises as `describe_topic` does."""
    topic = describe_topic(settings, _ANSWER_SECONDS)
    return {(topic.topic_id, partition): end for partition, end in topic_ends(settings, topic).items()}


def _partition(
    storage: Storage, chain: Chain, published: Mapping[str, int], broker_ends: Mapping[tuple[str, int], int]
) -> PartitionStatus:
    published_end = published.get(chain.path)
    if published_end is None:
        published_end = read_genesis(storage, chain).position
    landed_end = published_end
    for slot in walk(storage, chain, published_end):
        landed_end = slot.footer.next_offset
    return PartitionStatus(
        chain=chain,
        broker_end=broker_ends.get((chain.topic_id, chain.partition)),
        landed_end=landed_end,
        validated_end=validated_end(storage, chain, published_end),
        published_end=published_end,
        given_up=tuple(given_up(storage, chain)),
    )


def status_report(status: Status, now: datetime | None = None) -> Group:
    """What `tickhouse status` prints."""
    table = Table(title="Offsets, partition by partition", caption="Everything below an offset has come through that stage.")
    table.add_column("topic / partition")
    for column in ("in Kafka", "landed", "validated", "published", "lag"):
        table.add_column(column, justify="right")
    for each in status.partitions:
        numbers = (each.broker_end, each.landed_end, each.validated_end, each.published_end, each.lag)
        table.add_row(f"{each.chain.topic} / {each.chain.partition}", *("–" if n is None else f"{n:,}" for n in numbers))
    if not status.partitions:
        return Group(Text("Nothing has landed yet. Start `tickhouse ingest`, then `tickhouse replay sample`."))
    losses = [Text(_loss_text(each.chain, footer), "red") for each in status.partitions for footer in each.given_up]
    return Group(table, *losses, Text(_snapshot_text(status.manifest, now or datetime.now(UTC))))


def _loss_text(chain: Chain, footer: SlotFooter) -> str:
    place = f"{chain.topic} / {chain.partition}, id {chain.topic_id}"
    return f"Lost: {footer.lost:,} offsets of {place}, from {footer.position:,} to {footer.next_offset - 1:,}; {footer.writer}"


def _snapshot_text(manifest: Manifest | None, now: datetime) -> str:
    if manifest is None:
        return "Nothing is published yet: `tickhouse build` does it, or Dagster by itself."
    balance = manifest.balance
    marts = ", ".join(f"{mart.rows:,} in {name}" for name, mart in manifest.marts.items())
    return (
        f"Snapshot {manifest.number}, published {manifest.published_at:%Y-%m-%d %H:%M:%S} UTC "
        f"({(now - manifest.published_at).total_seconds():,.0f} s ago): {marts}.\n"
        f"Of {balance.landed:,} landed rows, {balance.current:,} are current, {balance.superseded:,} superseded "
        f"by corrections, {balance.quarantined:,} in quarantine."
    )
