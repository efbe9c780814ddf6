"""The ingestors' consumer group: its client, and what a commit tells besides the offset."""

from __future__ import annotations

import json
import logging
import time

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ingestion.chain.put import ChainEnd
from ingestion.chain.slot import Chain
from tickhouse.settings import Settings

PREFETCHED_KBYTES = 32 * 1024
# A crashed ingestor's partitions wait so long for another. A live one that misses it does no harm: the chain is the fence.
SESSION_SECONDS = 6.0
PROPAGATION_SECONDS = 5.0
_REPEAT_SECONDS = 10.0

log = structlog.get_logger(__name__)


def join_group(settings: Settings) -> Consumer:
    """A client of `kafka.group` that is told every offset to start from, and commits nothing by itself."""
    return Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": settings.kafka.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            # Every start comes from the storage: an offset that Kafka does not have is never made good in silence.
            "auto.offset.reset": "error",
            # Eager: a rebalance lands everything and starts from the storage, and in-memory brokers know nothing else.
            "partition.assignment.strategy": "range",
            "session.timeout.ms": int(SESSION_SECONDS * 1000),
            "heartbeat.interval.ms": int(SESSION_SECONDS * 1000 / 4),
            "enable.partition.eof": True,  # tells where offsets without messages end
            "queued.max.messages.kbytes": PREFETCHED_KBYTES,
            # What to wait for when that much is fetched ahead: librdkafka's second would leave a backlog idle.
            "fetch.queue.backoff.ms": 10,
            # Half a minute would pass until a topic that goes just after a start is missed: it was there, and is asked for again.
            "topic.metadata.propagation.max.ms": int(PROPAGATION_SECONDS * 1000),
            "on_commit": _on_commit,
            "error_cb": _Complaints(),
            "log_level": 2,  # its errors come to the line above, and in the log again for every try to connect
        },
        logger=logging.getLogger(__name__),
    )


def commit_of(chain: Chain, end: ChainEnd) -> TopicPartition:
    """What the group is told of a chain: the next offset, for who displays lag, and the last slot's position as a hint."""
    hint = json.dumps({"topic_id": chain.topic_id, "position": end.last_position})
    return TopicPartition(chain.topic, chain.partition, end.next_offset, hint)


def tell(consumer: Consumer, commits: list[TopicPartition]) -> None:
    """Commit without waiting. A commit that fails is logged and no more: nothing that counts depends on it."""
    try:
        consumer.commit(offsets=commits, asynchronous=True)
    except KafkaException as error:
        _on_commit(error.args[0], commits)


def hint_in(commit: TopicPartition, topic_id: str) -> int | None:
    """The last slot's position that a commit names; None when it names none, or one of another topic's incarnation."""
    try:
        hint = json.loads(commit.metadata or "")
        return int(hint["position"]) if hint["topic_id"] == topic_id else None
    except (ValueError, KeyError, TypeError):  # no commit yet, or somebody else's
        return None


class _Complaints:
    """Logs what Kafka's client complains of: a broker that is down many times a second, so each kind at times only."""

    def __init__(self) -> None:
        self._told_at: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        if now - self._told_at.get(error.code(), -_REPEAT_SECONDS) >= _REPEAT_SECONDS:
            self._told_at[error.code()] = now
            log.warning("Kafka's client complains", reason=error.str())


def _on_commit(error: KafkaError | None, partitions: list[TopicPartition]) -> None:
    if error is not None:
        log.warning("group commit failed; only the lag display is behind", reason=error.str())
