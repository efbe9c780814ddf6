"""Sending dead letters again, to the topic as it is now, each with the place that it first had."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingestion.dlq.letter import Header, Letter
from ingestion.origin import ORIGIN_HEADER
from ingestion.outage import Outage
from ingestion.outbox import MESSAGE_SECONDS, STOP_SECONDS, client_settings
from ingestion.producer import ReplayReport
from ingestion.topic import describe_topic
from tickhouse.settings import Settings

_QUEUED_KBYTES = 64 * 1024
_LARGEST_BYTES = 1_000_000_000  # the broker's limit is the one that counts: the letter came through it
_PARTITION_BY_KEY = -1

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Mending:
    """What is changed in a letter before it is sent: another value if `value` is not None, headers by their names."""

    value: bytes | None = None
    headers: tuple[Header, ...] = ()


def parse_header(text: str) -> Header:
    """A header written NAME=VALUE. Raises ValueError for what is none, and for the one that says the first place."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"--header {text}: a header is written NAME=VALUE, such as schema_version=1")
    if name == ORIGIN_HEADER:
        raise ValueError(f"--header {text}: {ORIGIN_HEADER} is what a replay says of itself, and not to be changed")
    return name, value.encode()


def resend_letters(
    settings: Settings, letters: Iterable[Letter], mending: Mending | None = None, stop: threading.Event | None = None
) -> ReplayReport:
    """Send the letters to `kafka.topic` in their order, as they came but for `mending`, and count the delivery reports.

    Each goes to the partition it came on, if the topic has one of that number, and else where its key belongs; the
    header `tickhouse_origin` says its first place. Setting `stop` ends it soon, with a report of what was sent until
    then. A message that failed is counted, not raised. Raises BrokerUnreachableError and TopicMissingError. Memory:
    64 MiB of messages on their way.
    """
    topic = describe_topic(settings)
    stop, started = stop or threading.Event(), time.monotonic()
    sender = _Sender(settings, stop)
    for letter in letters:
        if stop.is_set():
            break
        partition = letter.place.partition if letter.place.partition < topic.partitions else _PARTITION_BY_KEY
        sender.send(letter, mending or Mending(), partition)
    sender.finish()
    failed = sender.produced - sender.delivered
    return ReplayReport(sender.produced, sender.delivered, failed, time.monotonic() - started, sender.first_error)


def resent_headers(letter: Letter, mended: Sequence[Header]) -> list[tuple[str, str | bytes | None]]:
    """The letter's headers in their order, mended ones in the place of those with their names, and its first place."""
    replaced = {ORIGIN_HEADER, *(name for name, _ in mended)}
    kept = [header for header in letter.headers if header[0] not in replaced]
    return [*kept, *mended, (ORIGIN_HEADER, letter.origin.encode())]


class _Sender:
    """A client of one topic that counts what was `produced` and, by Kafka's report, `delivered`."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._outage = Outage(settings.kafka.bootstrap_servers)
        own = {
            "queue.buffering.max.kbytes": _QUEUED_KBYTES,
            "message.max.bytes": _LARGEST_BYTES,
            "log_level": 0,  # the outage says what counts, and delivery reports tell how it went
            "error_cb": self._outage.note,
        }
        self._producer = Producer({**client_settings(settings), **own})
        self._topic = settings.kafka.topic
        self._stop = stop
        self.produced = self.delivered = 0
        self.first_error: str | None = None

    def send(self, letter: Letter, mending: Mending, partition: int) -> None:
        value = letter.value if mending.value is None else mending.value
        headers = resent_headers(letter, mending.headers)
        while not self._stop.is_set():
            try:
                self._producer.produce(
                    self._topic, value, letter.key, headers=headers, partition=partition, on_delivery=self._on_delivery
                )
            except BufferError:  # the client's queue is full: the broker is slower than this loop
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                self._fail(error.args[0])
            self.produced += 1
            self._producer.poll(0)
            return

    def finish(self) -> None:
        """Wait for every delivery report; what has none by the deadline is given up, and so counts as failed."""
        started = time.monotonic()
        while len(self._producer):
            if time.monotonic() - started > (STOP_SECONDS if self._stop.is_set() else MESSAGE_SECONDS + STOP_SECONDS):
                self._producer.purge()
                self._producer.flush(1.0)
                break
            self._producer.flush(0.1)

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._fail(error)
            return
        self.delivered += 1
        if self._outage.is_on:
            self._outage.end()

    def _fail(self, error: KafkaError) -> None:
        if self.first_error is None:
            self.first_error = error.str()
            log.error("a dead letter was not delivered", topic=self._topic, error=error.str())
