"""Where a partition that was just assigned goes on: the storage decides, and what Kafka still has must fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ingestion.chain.put import ChainEnd, begin_chain, find_end
from ingestion.chain.slot import LANDING, Chain
from ingestion.group import hint_in
from ingestion.loss import Loss, ahead_text, loss_text
from ingestion.metrics import Awaited
from ingestion.patience import patiently
from tickhouse.settings import Settings
from tickhouse.storage import Storage

_ANSWER_SECONDS = 2.0

log = structlog.get_logger(__name__)


class IngestorError(RuntimeError):
    """The ingestor cannot go on without somebody's decision; the message says which."""


def ask_hints(consumer: Consumer, partitions: Sequence[TopicPartition], topic_id: str, seconds: float) -> dict[int, int]:
    """The last slots' positions by partition, as the group's commits have them."""
    try:
        committed = consumer.committed(list(partitions), timeout=seconds)
    except KafkaException as error:
        log.warning("no group commits to start from: chains are walked from their genesis", reason=str(error))
        return {}
    hints = {commit.partition: hint_in(commit, topic_id) for commit in committed}
    return {partition: hint for partition, hint in hints.items() if hint is not None}


def find_start(
    settings: Settings,
    storage: Storage,
    consumer: Consumer,
    chain: Chain,
    hint: int | None,
    stop: threading.Event,
    on_retry: Callable[[Awaited], None],
) -> ChainEnd:
    """The chain's end, or where it begins. Kafka and the storage are asked until they answer, or `stop` is set.

    `on_retry` is told who is asked again.

    Raises IngestorError when Kafka no longer has, or never had, the next offset, or `kafka.offset_reset` forbids to
    begin; StoppedError when told to stop.
    """
    watermarks = partial(_watermarks, consumer, TopicPartition(chain.topic, chain.partition))
    low, high = patiently(watermarks, stop, on_retry=on_retry)
    end = patiently(lambda: find_end(storage, chain, hint), stop, on_retry=on_retry)
    if hint is not None and (end is None or end.last_position is None or end.last_position < hint):
        _tell_of_a_lost_lake(chain, end, hint, low)
    if end is None:
        first = _first_offset(settings, chain, low, high, is_known=hint is not None)
        patiently(lambda: _tell_of_predecessors(storage, chain), stop, on_retry=on_retry)
        patiently(lambda: begin_chain(storage, chain, first, datetime.now(UTC)), stop, on_retry=on_retry)
        end = patiently(lambda: find_end(storage, chain), stop, on_retry=on_retry)
        assert end is not None
    if end.next_offset < low:
        raise IngestorError(loss_text(Loss(chain, end.next_offset, low)))
    if end.next_offset > high:  # another ingestor may have landed what came after the question
        _, high = patiently(watermarks, stop, on_retry=on_retry)
    if end.next_offset > high:
        raise IngestorError(ahead_text(chain, end.next_offset, high))
    return end


def _first_offset(settings: Settings, chain: Chain, low: int, high: int, is_known: bool) -> int:
    """Where a chain begins; one that the group knows begins where Kafka does, or what it had landed would be skipped."""
    reset = settings.kafka.offset_reset
    if reset == "error":
        raise IngestorError(
            f"{chain.path} was never landed in this lake and kafka.offset_reset is error: set it to earliest or latest to begin"
        )
    return low if reset == "earliest" or is_known else high


def _tell_of_a_lost_lake(chain: Chain, end: ChainEnd | None, hint: int, low: int) -> None:
    log.warning(
        "the lake ends before what the group has committed: it was lost, emptied or restored, and is landed anew from there",
        chain=chain.path,
        committed_slot=hint,
        landed_from=low if end is None else end.next_offset,
    )


def _tell_of_predecessors(storage: Storage, chain: Chain) -> None:
    """A topic that was deleted and made again may have taken messages with it that had not landed."""
    ids = [folder.removeprefix("id=") for folder in storage.folders(f"{LANDING}/topic={chain.topic}")]
    before = [Chain(chain.topic, topic_id, chain.partition) for topic_id in ids if topic_id != chain.topic_id]
    for old in [old for old in before if storage.exists(old.genesis_key)]:
        log.warning(
            "the topic was made again and is landed as another one; what had not landed of the old one is gone with it",
            chain=chain.path,
            old_chain=old.path,
        )


def _watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    marks = consumer.get_watermark_offsets(partition, timeout=_ANSWER_SECONDS)
    if marks is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    return marks
