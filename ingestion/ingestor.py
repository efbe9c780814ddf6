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
from collections.abc import Iterable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ingestion.batch import Limits
from ingestion.chain.put import ChainGoneError
from ingestion.chain.slot import Chain
from ingestion.ends import cached_end
from ingestion.fetch import MessageQueue, Run, load_compiled_code
from ingestion.group import commit_of, join_group, tell
from ingestion.health import serving
from ingestion.lander import PartitionLander
from ingestion.landing import Landing
from ingestion.metrics import IngestorMetrics
from ingestion.patience import StoppedError, patiently
from ingestion.start import IngestorError, ask_hints, find_start
from ingestion.topic import LOG_APPEND_TIME, UNREACHABLE, TopicIdentity, TopicMissingError, TopicWatch, describe_topic
from tickhouse.logging import configure_logging
from tickhouse.settings import Settings, load_settings
from tickhouse.storage import Storage, StorageRefusedError, open_storage

FETCH_SECONDS = 0.1
ANSWER_SECONDS = 2.0
LEAVE_SECONDS = 10.0
"""So long a partition that is given up, or an ingestor that ends, goes on trying to land what it has read."""

_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)

log = structlog.get_logger(__name__)


def run_ingestor(settings: Settings, stop: threading.Event) -> None:
    """Land `kafka.topic` until `stop` is set; then what is buffered is landed and committed, and the group left.

    Started before the broker, the topic or the lake is there, it waits for them. Memory is bounded, whatever the backlog:
    `ingestor.buffer_bytes` of messages over all partitions, the columns and files of two batches that are being landed,
    10,000 messages between Kafka's client and the batches, and what the client fetches ahead: 32 MiB and one answer.

    Its metrics and health are served where `metrics.port` is set.

    Raises MetricsPortError when that is taken, StorageRefusedError when the lake cannot be used, ChainGoneError when it was
    emptied meanwhile, IngestorError when messages were lost before they could be landed, the topic was deleted or made again,
    or `kafka.offset_reset` forbids a start, KafkaException when Kafka refuses this client.
    """
    storage, metrics = open_storage(settings), IngestorMetrics(settings.kafka.topic)
    with serving(settings.metrics, metrics):
        _land_topic(settings, storage, metrics, stop)


def _land_topic(settings: Settings, storage: Storage, metrics: IngestorMetrics, stop: threading.Event) -> None:
    try:
        patiently(storage.probe, stop, on_retry=metrics.waiting)
        metrics.storage_probed()
        topic = patiently(lambda: describe_topic(settings, ANSWER_SECONDS), stop, on_retry=metrics.waiting)
        if topic.timestamp_type != LOG_APPEND_TIME:
            log.warning(
                "producers' clocks decide which of two corrections is newer: the topic does not use the broker's",
                topic=topic.name,
                timestamp_type=topic.timestamp_type,
            )
        _Ingestor(settings, storage, topic, metrics, stop).run()
    except StoppedError:
        log.warning("ingestor stopped while it waited for an answer; what was read and not landed will be read again")


class _Ingestor:
    def __init__(
        self, settings: Settings, storage: Storage, topic: TopicIdentity, metrics: IngestorMetrics, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._topic = topic
        self._metrics = metrics
        self._stop = stop
        self._writer = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        chosen = settings.ingestor
        self._limits = Limits(chosen.flush_rows, chosen.flush_bytes, chosen.flush_seconds)
        self._most_bytes = chosen.buffer_bytes
        self._landers: dict[int, PartitionLander] = {}
        self._is_leaving = False
        self._watch = TopicWatch(settings, topic)
        self._landing = Landing(self._check_incarnation, metrics)
        self._consumer = join_group(settings)
        self._queue = MessageQueue(self._consumer)
        metrics.reads_ends_from(lambda partition: cached_end(self._consumer, topic.name, partition))

    def run(self) -> None:
        load_compiled_code()
        consumer = self._consumer
        consumer.subscribe([self._topic.name], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        log.info("ingestor started", topic=self._topic.name, topic_id=self._topic.topic_id, writer=self._writer)
        gc.freeze()  # what is loaded by now stays: let no collection look at it again
        try:
            while not self._stop.is_set():
                self._turn()
            self._land_rest(list(self._landers.values()))
        finally:
            self._is_leaving = True
            self._landers.clear()
            self._landing.close()
            self._queue.close()
            self._metrics.reads_ends_from(None)
            consumer.close()
            gc.unfreeze()
        log.info("ingestor stopped", topic=self._topic.name)

    def _turn(self) -> None:
        self._call_back()
        with self._queue.fetch(self._patience()) as runs:
            now = time.monotonic()
            for run in runs:
                if run.error is not None:
                    self._meet(run.error, run, now)
                elif not self._take(run, now):
                    break  # what is left is of an assignment that has changed, or will be read again
        self._tell(self._landing.finished())
        for lander in self._landers.values():
            if self._is_due(lander) and not self._landing.is_busy(lander):
                self._landing.begin(lander)

    def _call_back(self) -> None:
        """Let the client call back: rebalances come here, and errors that are no partition's."""
        self._metrics.turned()
        message = self._consumer.poll(0)
        if message is not None:
            error = message.error()
            if error is None:
                raise RuntimeError(f"offset {message.offset()} of partition {message.partition()} came past the message queue")
            self._judge(error, "the consumer group")

    def _take(self, run: Run, now: float) -> bool:
        """Buffer the run, landing what gets full; False when the partition was taken away meanwhile, or we are to stop."""
        lander = self._landers.get(run.partition)
        if lander is None:
            return True  # fetched before its partition was taken away
        while len(run):
            run.move_to(lander.batch, now)
            if lander.batch.is_full and not self._land_now(lander):
                return False
        while self._held_bytes() > self._most_bytes:
            idle = [each for each in self._landers.values() if not (self._landing.is_busy(each) or each.batch.is_empty)]
            if idle:
                self._landing.begin(max(idle, key=lambda each: each.batch.messages.size))
            if not self._await(lander):
                return False
        return True

    def _land_now(self, lander: PartitionLander) -> bool:
        """Begin to land what is buffered, after what is being landed already; False as `_await` has it."""
        while self._landing.is_busy(lander):
            if not self._await(lander):
                return False
        self._landing.begin(lander)
        return True

    def _await(self, lander: PartitionLander) -> bool:
        """Wait a moment for a landing; False when the lander's partition was taken away meanwhile, or we are to stop."""
        self._tell(self._landing.finished(FETCH_SECONDS))
        self._call_back()
        return self._landers.get(lander.chain.partition) is lander and not self._stop.is_set()

    def _land_rest(self, landers: Iterable[PartitionLander]) -> None:
        """Land all that these hold, and tell the group; what does not land in time is left to the next owner."""
        landers, deadline = list(landers), time.monotonic() + LEAVE_SECONDS
        while left := [lander for lander in landers if self._landing.is_busy(lander) or not lander.batch.is_empty]:
            for lander in left:
                if not self._landing.is_busy(lander):
                    self._landing.begin(lander)
            self._tell(self._landing.finished(FETCH_SECONDS))
            if time.monotonic() > deadline:
                self._landing.give_up(left)
                log.warning(
                    "partitions left with messages read and not landed; they will be read again",
                    partitions=[lander.chain.partition for lander in left],
                )
                return

    def _tell(self, landers: Iterable[PartitionLander]) -> None:
        commits = [commit_of(lander.chain, lander.end) for lander in landers if lander.end.last_position is not None]
        if commits:
            tell(self._consumer, commits)

    def _held_bytes(self) -> int:
        return self._landing.bytes + sum(lander.batch.messages.size for lander in self._landers.values())

    def _patience(self) -> float:
        """How long to wait for messages: until the next batch is due, and never long."""
        due = [at for lander in self._landers.values() if (at := lander.batch.due_at()) is not None]
        return min(max(min(due) - time.monotonic(), 0.0), FETCH_SECONDS) if due else FETCH_SECONDS

    def _is_due(self, lander: PartitionLander) -> bool:
        at = lander.batch.due_at()
        return at is not None and at <= time.monotonic()

    def _check_incarnation(self) -> bool:
        """Make sure that what was read by now is of the topic this began with; whether it is still there.

        Kafka's client goes on reading, by offset, when a topic is deleted and made again under its name; asked
        after the reading and before the landing, no message of the new one gets into the old one's chain.
        """
        try:
            topic_id = self._watch.topic_id(ANSWER_SECONDS)
        except TopicMissingError:
            return False  # deleted and not made again: what was read is of the old one
        if topic_id != self._topic.topic_id:
            raise IngestorError(
                f"topic {self._topic.name} was deleted and made again (now {topic_id}, before {self._topic.topic_id}): "
                "start the ingestor again to land it as a topic of its own"
            )
        return True

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._is_leaving:
            return  # a rebalance that the closing consumer answers: it gives the partitions back at once
        patiently(self._check_incarnation, self._stop, on_retry=self._metrics.waiting)
        hints = ask_hints(consumer, partitions, self._topic.topic_id, ANSWER_SECONDS)
        for partition in partitions:
            chain = Chain(self._topic.name, self._topic.topic_id, partition.partition)
            hint = hints.get(partition.partition)
            end = find_start(self._settings, self._storage, consumer, chain, hint, self._stop, self._metrics.waiting)
            self._landers[partition.partition] = PartitionLander(
                self._storage, chain, end, self._limits, self._writer, self._metrics
            )
            partition.offset = end.next_offset
            self._queue.attach(partition.topic, partition.partition)
        consumer.assign(partitions)
        offsets = {partition.partition: partition.offset for partition in partitions}
        self._metrics.assigned(offsets)
        log.info("partitions assigned", offsets=offsets)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        landers = [self._landers.pop(partition.partition, None) for partition in partitions]
        self._land_rest(lander for lander in landers if lander is not None)
        self._metrics.revoked(partition.partition for partition in partitions)
        log.info("partitions revoked", partitions=[partition.partition for partition in partitions])

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        landers = [self._landers.pop(partition.partition, None) for partition in partitions]
        self._landing.give_up(lander for lander in landers if lander is not None)  # the new owner reads what is dropped here
        self._metrics.lost(partition.partition for partition in partitions)
        log.warning(
            "partitions lost: the group gave them away, or is out of reach",
            partitions=[partition.partition for partition in partitions],
        )

    def _meet(self, error: KafkaError, run: Run, now: float) -> None:
        if error.code() != KafkaError._PARTITION_EOF:
            self._judge(error, f"{self._topic.name}, partition {run.partition}")
        elif (lander := self._landers.get(run.partition)) is not None:
            lander.batch.pass_over(run.offset, now)

    def _judge(self, error: KafkaError, place: str) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            patiently(
                self._check_incarnation, self._stop, on_retry=self._metrics.waiting
            )  # of another topic any offset may be missing
            self._land_rest(self._landers.values())  # Kafka may have dropped what is buffered, too
            raise IngestorError(
                f"data loss in {place}: Kafka no longer has the next offset to read ({error.str()}). "
                "`tickhouse topic adopt` shows what is gone, and goes on without it"
            )
        if error.code() in _GONE and not patiently(self._check_incarnation, self._stop, on_retry=self._metrics.waiting):
            self._land_rest(self._landers.values())
            raise IngestorError(f"topic {self._topic.name} was deleted. What was read of it has landed; the rest is gone with it")
        if not error.retriable() and error.code() not in (KafkaError._MAX_POLL_EXCEEDED, *_GONE, *UNREACHABLE):
            raise KafkaException(error)
        log.warning("Kafka will be asked again", place=place, reason=error.str())


def main() -> int:
    """Run the ingestor as configured until SIGTERM or SIGINT; the exit code."""
    settings = load_settings()
    configure_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_ingestor(settings, stop)
    except (IngestorError, ChainGoneError, StorageRefusedError, KafkaException, OSError) as error:
        log.critical("ingestor ends", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
