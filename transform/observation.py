"""What there is to see of the topic and of the landing, in few numbers; found from hints, as status is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestion.chain.walk import walk
from tickhouse.storage import Storage
from transform.status import KafkaSide, PartitionStatus, read_status


class TopicUnknownError(RuntimeError):
    """Kafka did not say where the topic ends."""


@dataclass(frozen=True)
class TopicSeen:
    """A topic's partitions: the offset after the last message of each, and how many offsets the landing lags behind."""

    topic_id: str
    ends: dict[int, int]
    lags: dict[int, int]


@dataclass(frozen=True)
class LandingSeen:
    """Every chain's last slot, how many bars landed in all, and when Kafka took the newest (UTC; None of a lake without any)."""

    partitions: Sequence[PartitionStatus]
    rows: int
    newest_at: datetime | None


def see_topic(storage: Storage, kafka: KafkaSide) -> TopicSeen:
    """How far the topic is and the landing behind it; a partition that was never landed lags by all of its offsets.

    Raises TopicUnknownError that says why Kafka did not answer.
    """
    if kafka.topic_id is None:
        raise TopicUnknownError(f"{kafka.unknown}. Builds go on with what has landed.")
    landed = {
        each.chain.partition: each.landed_end for each in read_status(storage, kafka).partitions if each.broker_end is not None
    }
    lags = {partition: max(0, end - landed.get(partition, 0)) for partition, end in kafka.ends.items()}
    return TopicSeen(kafka.topic_id, dict(kafka.ends), lags)


def see_landing(storage: Storage) -> LandingSeen:
    """What landed; Kafka is not asked."""
    status = read_status(storage, KafkaSide())
    published = 0 if status.manifest is None else status.manifest.balance.landed
    waiting = sum(slot.footer.rows for each in status.partitions for slot in walk(storage, each.chain, each.published_end))
    newest = [each.last_slot.newest_at for each in status.partitions if each.last_slot and each.last_slot.newest_at]
    return LandingSeen(status.partitions, published + waiting, max(newest, default=None))
