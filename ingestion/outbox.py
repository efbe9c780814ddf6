"""Messages on their way to Kafka: handed to the client, waited for, every delivery counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from ingestion.encode import HEADERS, closing
from ingestion.outage import Outage
from ingestion.slices import Slice
from tickhouse.settings import Settings

MESSAGE_SECONDS = 60.0
"""A message that Kafka has not taken after so long has failed."""

STOP_SECONDS = 5.0
"""How long a replay that is told to stop waits for what is on its way."""

QUEUED_MESSAGES = 100_000
"""The client holds at most so many messages, some 30 MB of bars."""

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
    """A client of one topic. `on_wait` is called now and then while it waits, `on_failure` with every message's that failed;
    setting `stop` ends every wait soon.

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
        self.produced = self.delivered = self.failed = 0

    def send(self, messages: Slice) -> None:
        """Hand the messages to the client, in their order; waits while it holds as many as it may."""
        produce, on_delivery, end = self.client.produce, self._on_delivery, closing(datetime.now(UTC))
        for key, value in zip(messages.keys, messages.values, strict=True):
            while not self._stop.is_set():
                try:
                    produce(self._topic, value + end, key, headers=HEADERS, on_delivery=on_delivery)
                except BufferError:  # the broker is slower than this loop
                    self.client.poll(0.1)
                    self._on_wait()
                else:
                    self.produced += 1
                    break
        self.client.poll(0)

    def wait_until(self, due: float) -> None:
        """Take delivery reports until `due` on the monotonic clock."""
        while (seconds := due - time.monotonic()) > 0 and not self._stop.is_set():
            self.client.poll(min(seconds, 0.1))
            self._on_wait()

    def drain(self) -> None:
        """Wait for every delivery report; what has none by the deadline is given up, and so counted as failed."""
        started = time.monotonic()
        while len(self.client):
            waited = time.monotonic() - started
            if waited > (STOP_SECONDS if self._stop.is_set() else MESSAGE_SECONDS + STOP_SECONDS):
                self.discard()
                break
            self.client.flush(0.1)
            self._on_wait()
        self.failed = self.produced - self.delivered

    def discard(self) -> None:
        """Give up what is on its way. A client that holds messages of ours holds us too, and would live on for ever."""
        self.client.purge()
        self.client.flush(1.0)

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.delivered += 1
            if self.outage.is_on:
                self.outage.end()
            return
        self.failed += 1
        self._on_failure(error)
