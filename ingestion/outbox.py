"""Messages on their way to Kafka: handed to the client, waited for, every delivery counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, Producer

from ingestion.encode import closing
from ingestion.outage import Outage
from ingestion.sender import Reports, Sender
from ingestion.slices import Slice
from tickhouse.settings import Settings

MESSAGE_SECONDS = 60.0
"""A message that Kafka has not taken after so long has failed."""

STOP_SECONDS = 5.0
"""How long a replay that is told to stop waits for what is on its way."""

QUEUED_MESSAGES = 30_000
"""The client holds at most so many messages, some 10 MB of bars. More did not make it faster."""

_UNHEARD = logging.Logger("librdkafka")  # `Outage` says what counts, and delivery reports tell how it went
_UNHEARD.addHandler(logging.NullHandler())


def client_settings(settings: Settings) -> dict[str, Any]:
    """librdkafka's configuration. Order is kept with every `acks`; without `all` a retry can repeat or lose a message."""
    is_idempotent = settings.producer.acks == "all"
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "acks": settings.producer.acks,
        "enable.idempotence": is_idempotent,
        "max.in.flight.requests.per.connection": 5 if is_idempotent else 1,
        "partitioner": "murmur2_random",  # what Java's producers use: a symbol's partition is the same from either
        "linger.ms": 20,
        "compression.type": "lz4",
        "queue.buffering.max.messages": QUEUED_MESSAGES,
        "message.timeout.ms": int(MESSAGE_SECONDS * 1000),
        "reconnect.backoff.max.ms": 1_000,  # a broker that is back is found within a second, not ten
    }


class Outbox:
    """A client of one topic. `on_wait` is called now and then while it waits, `on_failure` with each reason that messages
    failed for; setting `stop` ends every wait soon.

    Counted are messages `produced` (handed to the client), `delivered` and `failed`, by Kafka's report on each.
    """

    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        *,
        on_wait: Callable[[], None],
        on_failure: Callable[[KafkaError], None],
        outage: Outage | None = None,
        **client: Any,
    ) -> None:
        self._topic = settings.kafka.topic
        self._stop = stop
        self._on_wait = on_wait
        self._on_failure = on_failure
        self.outage = outage or Outage(settings.kafka.bootstrap_servers)
        self.client = Producer({**client_settings(settings), "error_cb": self.outage.note, **client}, logger=_UNHEARD)
        self._sender = Sender(self.client, self._topic)
        self.produced = self.delivered = self.failed = 0

    def send(self, messages: Slice) -> None:
        """Hand the messages to the client, in their order; waits while it holds as many as it may. Raises KafkaException."""
        end, sent = closing(datetime.now(UTC)), 0
        while not self._stop.is_set():
            taken = self._sender.hand_over(messages.keys[sent:], messages.values[sent:], end)
            self.produced += taken
            sent += taken
            if sent == len(messages):
                break
            self.take_reports(0.1)  # the broker is slower than we are
            self._on_wait()
        self.take_reports(0)

    def wait_until(self, due: float) -> None:
        """Take delivery reports until `due` on the monotonic clock."""
        while (seconds := due - time.monotonic()) > 0 and not self._stop.is_set():
            self.take_reports(min(seconds, 0.1))
            self._on_wait()

    def drain(self) -> None:
        """Wait for every delivery report; what has none by the deadline is given up, and so counted as failed."""
        if not self.settle():
            self.discard()
        self.failed = self.produced - self.delivered

    def settle(self) -> bool:
        """Wait for every delivery report, and say whether all came by the deadline."""
        started = time.monotonic()
        while len(self.client):
            waited = time.monotonic() - started
            if waited > (STOP_SECONDS if self._stop.is_set() else MESSAGE_SECONDS + STOP_SECONDS):
                return False
            self.take_reports(0.1)
            self._on_wait()
        return True

    def discard(self) -> None:
        """Give up what is on its way."""
        self.client.purge()
        given_up_at = time.monotonic() + 1.0
        while len(self.client) and time.monotonic() < given_up_at:
            self.take_reports(0.1)

    def take_reports(self, seconds: float) -> None:
        """Take all that the client reports, waiting for it so long."""
        while (complaint := self._count(self._sender.take_reports(seconds))) is not None:
            self.outage.note(complaint)
            seconds = 0

    def _count(self, reports: Reports) -> KafkaError | None:
        self.delivered += reports.delivered
        if reports.delivered and self.outage.is_on:
            self.outage.end()
        for error, messages in reports.failed.items():
            self.failed += messages
            self._on_failure(error)
        return reports.complaint
