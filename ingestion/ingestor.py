"""The ingestor: messages of a topic, partition by partition, to the slots of their chains, each offset exactly once."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ingestion.batch import Limits
from ingestion.chain.put import ChainEnd, begin_chain, find_end
from ingestion.chain.slot import Chain
from ingestion.group import commit_of, hint_in, join_group, tell
from ingestion.lander import PartitionLander
from ingestion.topic import LOG_APPEND_TIME, BrokerUnreachableError, TopicIdentity, TopicMissingError, TopicWatch, describe_topic
from tickhouse.logging import configure_logging
from tickhouse.settings import Settings, load_settings
from tickhouse.storage import Storage, StorageRefusedError, open_storage

CONSUMED_AT_ONCE = 10_000
CONSUME_SECONDS = 0.1
ANSWER_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 5.0

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class IngestorError(RuntimeError):
    """The ingestor cannot go on without somebody's decision; the message says which."""


class _StoppedError(Exception):
    """The ingestor was told to stop while it waited for Kafka."""


def run_ingestor(settings: Settings, stop: threading.Event) -> None:
    """Land `kafka.topic` until `stop` is set; then what is buffered is landed and committed, and the group left.

    Started before the broker or the topic is there, it waits for them. Memory is bounded by `ingestor.flush_bytes`
    of messages for each assigned partition, 10,000 messages between Kafka's client and the batches, and what the
    client fetches ahead: 32 MiB and one answer of the broker.

    Raises StorageRefusedError when the lake cannot be used, IngestorError when messages were lost before they
    could be landed, or `kafka.offset_reset` forbids a start, KafkaException when Kafka refuses this client.
    """
    storage = open_storage(settings)
    storage.probe()
    try:
        topic = _patiently(lambda: describe_topic(settings, ANSWER_SECONDS), stop)
        if topic.timestamp_type != LOG_APPEND_TIME:
            log.warning(
                "producers' clocks decide which of two corrections is newer: the topic does not use the broker's",
                topic=topic.name,
                timestamp_type=topic.timestamp_type,
            )
        _Ingestor(settings, storage, topic, stop).run()
    except _StoppedError:
        log.warning("ingestor stopped while Kafka did not answer; what was read and not landed will be read again")


class _Ingestor:
    def __init__(self, settings: Settings, storage: Storage, topic: TopicIdentity, stop: threading.Event) -> None:
        self._settings = settings
        self._storage = storage
        self._topic = topic
        self._stop = stop
        self._writer = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        chosen = settings.ingestor
        self._limits = Limits(chosen.flush_rows, chosen.flush_bytes, chosen.flush_seconds)
        self._landers: dict[int, PartitionLander] = {}
        self._is_newly_assigned = False
        self._watch = TopicWatch(settings, topic)
        self._consumer = join_group(settings)

    def run(self) -> None:
        consumer = self._consumer
        consumer.subscribe([self._topic.name], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        log.info("ingestor started", topic=self._topic.name, topic_id=self._topic.topic_id, writer=self._writer)
        gc.freeze()  # what is loaded by now stays: let no collection look at it again
        try:
            while not self._stop.is_set():
                self._take(self._consume())
                self._land([lander for lander in self._landers.values() if self._is_due(lander)])
            self._land(list(self._landers.values()))
        finally:
            self._landers.clear()
            consumer.close()
            gc.unfreeze()
        log.info("ingestor stopped", topic=self._topic.name)

    def _consume(self) -> list[Message]:
        """The next messages of the present assignment.

        Messages of the one before, which a rebalance in the middle of the call leaves in its answer, may come after
        others that nobody landed; taken for the batch's next they would hide those. So that answer is dropped whole.
        """
        self._is_newly_assigned = False
        messages = self._consumer.consume(CONSUMED_AT_ONCE, self._patience())
        if not self._is_newly_assigned:
            return messages
        starts = [(lander.chain, lander.batch.next_offset) for lander in self._landers.values()]
        self._consumer.assign([TopicPartition(chain.topic, chain.partition, offset) for chain, offset in starts])
        return []

    def _take(self, messages: Iterable[Any]) -> None:
        now = time.monotonic()
        for message in messages:
            lander = self._landers.get(message.partition())
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    if lander is not None:
                        lander.batch.pass_over(message.offset(), now)
                else:
                    self._judge(error, message)
                continue
            if lander is None:
                continue  # fetched before its partition was taken away
            batch = lander.batch
            batch.append(message.offset(), message.timestamp()[1], message.key(), message.value(), message.headers(), now)
            if batch.is_full:
                self._land([lander])

    def _patience(self) -> float:
        """How long to wait for messages: until the next batch is due, and never long."""
        due = [at for lander in self._landers.values() if (at := lander.batch.due_at()) is not None]
        return min(max(min(due) - time.monotonic(), 0.0), CONSUME_SECONDS) if due else CONSUME_SECONDS

    def _is_due(self, lander: PartitionLander) -> bool:
        at = lander.batch.due_at()
        return at is not None and at <= time.monotonic()

    def _land(self, landers: Sequence[PartitionLander]) -> None:
        """Land what these hold, and then tell the group."""
        if any(not lander.batch.is_empty for lander in landers):
            self._check_incarnation()
        for lander in landers:
            lander.land()
        commits = [commit_of(lander.chain, lander.end) for lander in landers if lander.end.last_position is not None]
        if commits:
            tell(self._consumer, commits)

    def _check_incarnation(self) -> None:
        """Make sure that what was read by now is of the topic this began with.

        Kafka's client goes on reading, by offset, when a topic is deleted and made again under its name; asked
        after the reading and before the landing, no message of the new one gets into the old one's chain.
        """
        try:
            topic_id = _patiently(lambda: self._watch.topic_id(ANSWER_SECONDS), self._stop, TopicMissingError)
        except TopicMissingError:
            return  # deleted and not made again: what was read is of the old one
        if topic_id != self._topic.topic_id:
            raise IngestorError(
                f"topic {self._topic.name} was deleted and made again (now {topic_id}, before {self._topic.topic_id}): "
                "start the ingestor again to land it as a topic of its own"
            )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._check_incarnation()
        hints = self._hints(partitions)
        for partition in partitions:
            chain = Chain(self._topic.name, self._topic.topic_id, partition.partition)
            end = self._find_start(chain, partition, hints.get(partition.partition))
            self._landers[partition.partition] = PartitionLander(self._storage, chain, end, self._limits, self._writer)
            partition.offset = end.next_offset
        consumer.assign(partitions)
        self._is_newly_assigned = True
        log.info("partitions assigned", offsets={partition.partition: partition.offset for partition in partitions})

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        landers = [self._landers.pop(partition.partition, None) for partition in partitions]
        self._land([lander for lander in landers if lander is not None])
        log.info("partitions revoked", partitions=[partition.partition for partition in partitions])

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._landers.pop(partition.partition, None)  # its new owner reads what is dropped here
        log.warning(
            "partitions lost: the group gave them away, or is out of reach",
            partitions=[partition.partition for partition in partitions],
        )

    def _hints(self, partitions: list[TopicPartition]) -> dict[int, int]:
        """The last slots' positions by partition, as the group's commits have them."""
        try:
            committed = self._consumer.committed(partitions, timeout=ANSWER_SECONDS)
        except KafkaException as error:
            log.warning("no group commits to start from: chains are walked from their genesis", reason=str(error))
            return {}
        hints = {commit.partition: hint_in(commit, self._topic.topic_id) for commit in committed}
        return {partition: hint for partition, hint in hints.items() if hint is not None}

    def _find_start(self, chain: Chain, partition: TopicPartition, hint: int | None) -> ChainEnd:
        """The chain's end, or where it begins; the storage decides, what Kafka still has must fit."""
        low, high = _patiently(lambda: self._watermarks(partition), self._stop)
        end = find_end(self._storage, chain, hint)
        if end is None:
            begin_chain(self._storage, chain, self._first_offset(chain, low, high), datetime.now(UTC))
            end = find_end(self._storage, chain)
            assert end is not None
        if end.next_offset < low:
            raise IngestorError(
                f"data loss: {chain.path} has landed up to offset {end.next_offset}, and Kafka has nothing below {low} any more"
            )
        if end.next_offset > high:
            raise IngestorError(
                f"{chain.path} has landed up to offset {end.next_offset}, but the partition ends at {high}: "
                "the broker has lost messages that it had acknowledged"
            )
        return end

    def _first_offset(self, chain: Chain, low: int, high: int) -> int:
        reset = self._settings.kafka.offset_reset
        if reset == "error":
            raise IngestorError(
                f"{chain.path} was never landed and kafka.offset_reset is error: set it to earliest or latest to begin"
            )
        return low if reset == "earliest" else high

    def _watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        marks = self._consumer.get_watermark_offsets(partition, timeout=ANSWER_SECONDS)
        if marks is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return marks

    def _judge(self, error: KafkaError, message: Message) -> None:
        place = f"{message.topic()}, partition {message.partition()}"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise IngestorError(f"data loss in {place}: Kafka no longer has the next offset to land ({error.str()})")
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise IngestorError(f"{place}: the topic is gone")
        if not error.retriable() and error.code() != KafkaError._MAX_POLL_EXCEEDED:
            raise KafkaException(error)
        log.warning("Kafka will be asked again", place=place, reason=error.str())


def _patiently(ask: Callable[[], Answer], stop: threading.Event, *answers: type[Exception]) -> Answer:
    """What Kafka answers, asked again until it does; errors of the kinds `answers` are answers, and raised.

    Raises _StoppedError when Kafka does not answer and `stop` is set.
    """
    backoff = 0.25
    while True:
        try:
            return ask()
        except (BrokerUnreachableError, TopicMissingError, KafkaException) as error:
            if isinstance(error, answers) or (isinstance(error, KafkaException) and not _is_passing(error)):
                raise
            log.warning("waiting for Kafka", reason=str(error), next_try_seconds=backoff)
        if stop.wait(backoff):
            raise _StoppedError
        backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)


def _is_passing(error: KafkaException) -> bool:
    cause: KafkaError = error.args[0]
    return cause.retriable() or cause.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


def main() -> int:
    """Run the ingestor as configured until SIGTERM or SIGINT; the exit code."""
    settings = load_settings()
    configure_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_ingestor(settings, stop)
    except (IngestorError, StorageRefusedError, KafkaException, OSError) as error:
        log.critical("ingestor ends", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
