"""The ordered replay: bars to Kafka in the order of time, at a rate, every delivery counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog
from confluent_kafka import KafkaError, Message, Producer

from ingestion.encode import HEADERS, closing, encode_bars
from ingestion.sources.feed import Feed, TableFeed
from ingestion.topic import ensure_topic
from tickhouse.settings import Settings

MESSAGE_SECONDS = 60.0
"""A message that Kafka has not taken after so long has failed."""

_STOP_SECONDS = 5.0
_PROGRESS_SECONDS = 0.25
_ENCODED_ROWS = 16_384
_SLICE_ROWS = 1_024
_SLICES_A_SECOND = 50
_CATCH_UP_SECONDS = 1.0

log = structlog.get_logger(__name__)

Progress = Callable[[int, int | None], None]
"""Told (delivered, total) a few times a second; the total is None when the replay goes on until stopped."""


@dataclass(frozen=True)
class ReplayReport:
    """What became of a replay: produced = delivered + failed. `first_error` is Kafka's word on the first that failed."""

    produced: int
    delivered: int
    failed: int
    seconds: float
    first_error: str | None = None


def replay(
    settings: Settings, bars: Feed | pa.Table, *, on_progress: Progress | None = None, stop: threading.Event | None = None
) -> ReplayReport:
    """Send a feed's bars, or a table of bars in the sources' FEED_SCHEMA, in their order to `kafka.topic`, which is made
    when it is missing.

    The key is the symbol, so bars of a symbol keep their order in one partition. `producer.rate`, `max_messages` and
    `loop` hold. A message that failed is counted, not raised: the caller looks at `failed`. Setting `stop` ends the
    replay soon, with a report of what was sent until then. Raises BrokerUnreachableError when no broker answers at the start.
    """
    ensure_topic(settings)
    feed = TableFeed(bars) if isinstance(bars, pa.Table) else bars
    return _Replay(settings, on_progress, stop or threading.Event()).run(feed)


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
        "message.timeout.ms": int(MESSAGE_SECONDS * 1000),
        "log_level": 3,  # errors: its warnings are of what it tries again, and delivery reports tell how that went
    }


class _Replay:
    def __init__(self, settings: Settings, on_progress: Progress | None, stop: threading.Event) -> None:
        self._topic = settings.kafka.topic
        self._settings = settings.producer
        self._on_progress = on_progress
        self._stop = stop
        self._producer = Producer(client_settings(settings), logger=logging.getLogger(__name__))
        self._produced = self._delivered = self._failed = 0
        self._first_error: str | None = None
        self._total: int | None = None
        self._next_progress = 0.0

    def run(self, feed: Feed) -> ReplayReport:
        if self._settings.acks != "all":
            log.warning("producer is not idempotent: a retry can repeat or lose a message", acks=self._settings.acks)
        started = due = time.monotonic()
        limit = self._settings.max_messages
        self._total = limit if self._settings.loop else min(feed.rows, limit or feed.rows)
        for keys, values in self._slices(feed):
            self._send(keys, values)
            if self._settings.rate is not None:
                due = max(due + len(keys) / self._settings.rate, time.monotonic() - _CATCH_UP_SECONDS)
                self._wait_until(due)
            self._report_progress()
            if self._stop.is_set():
                break
        self._finish()
        self._report_progress(is_last=True)
        return ReplayReport(
            self._produced, self._delivered, self._failed, time.monotonic() - started, first_error=self._first_error
        )

    def _slices(self, feed: Feed) -> Iterator[tuple[list[bytes], list[bytes]]]:
        rate = self._settings.rate
        size = _SLICE_ROWS if rate is None else max(1, min(_SLICE_ROWS, int(rate / _SLICES_A_SECOND)))
        left = self._settings.max_messages
        for bars in self._pieces(feed):
            for start in range(0, bars.num_rows, _ENCODED_ROWS):
                keys, values = encode_bars(bars.slice(start, min(_ENCODED_ROWS, left or _ENCODED_ROWS)))
                for at in range(0, len(keys), size):
                    yield keys[at : at + size], values[at : at + size]
                left = None if left is None else left - len(keys)
                if left == 0:
                    return

    def _pieces(self, feed: Feed) -> Iterator[pa.Table]:
        yield from feed.pieces()
        while self._settings.loop and feed.rows:
            yield from feed.pieces()

    def _send(self, keys: list[bytes], values: list[bytes]) -> None:
        produce, on_delivery, end = self._producer.produce, self._on_delivery, closing(datetime.now(UTC))
        for key, value in zip(keys, values, strict=True):
            while not self._stop.is_set():
                try:
                    produce(self._topic, value + end, key, headers=HEADERS, on_delivery=on_delivery)
                except BufferError:  # the client's queue is full: the broker is slower than this loop
                    self._producer.poll(0.1)
                    self._report_progress()
                else:
                    self._produced += 1
                    break
        self._producer.poll(0)

    def _wait_until(self, due: float) -> None:
        while (seconds := due - time.monotonic()) > 0 and not self._stop.is_set():
            self._producer.poll(min(seconds, 0.1))

    def _finish(self) -> None:
        """Wait for every delivery report; what has none by the deadline is given up, and so counted as failed."""
        started = time.monotonic()
        while len(self._producer):
            waited = time.monotonic() - started
            if waited > (_STOP_SECONDS if self._stop.is_set() else MESSAGE_SECONDS + _STOP_SECONDS):
                self._producer.purge()
                self._producer.flush(1.0)
                break
            self._producer.flush(0.1)
            self._report_progress()
        self._failed = self._produced - self._delivered

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._delivered += 1
            return
        self._failed += 1
        if self._first_error is None:
            self._first_error = error.str()
            log.error("a message was not delivered", topic=self._topic, error=error.str())

    def _report_progress(self, *, is_last: bool = False) -> None:
        if self._on_progress is not None and (is_last or time.monotonic() >= self._next_progress):
            self._on_progress(self._delivered, self._total)
            self._next_progress = time.monotonic() + _PROGRESS_SECONDS
