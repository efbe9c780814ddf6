"""The ordered replay: bars to Kafka in the order of time, at a pace, every delivery counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import structlog
from confluent_kafka import KafkaError

from ingestion.outbox import Outbox
from ingestion.pace import choose_pace
from ingestion.slices import read_slices
from ingestion.sources.feed import Feed, TableFeed
from ingestion.topic import ensure_topic
from tickhouse.settings import ProducerSettings, Settings

_PROGRESS_SECONDS = 0.25

log = structlog.get_logger(__name__)

Progress = Callable[[int, int | None], None]
"""Told (delivered, total) a few times a second; the total is None when the replay goes on until stopped."""


@dataclass(frozen=True)
class ReplayReport:
    """What became of a replay: produced = delivered + failed. `first_error` is Kafka's word on the first that failed.

    `resumed_at` is how many bars earlier runs of a resumed replay had delivered.
    """

    produced: int
    delivered: int
    failed: int
    seconds: float
    first_error: str | None = None
    resumed_at: int = 0


def replay(
    settings: Settings, bars: Feed | pa.Table, *, on_progress: Progress | None = None, stop: threading.Event | None = None
) -> ReplayReport:
    """Send a feed's bars, or a table of bars in the sources' FEED_SCHEMA, in their order to `kafka.topic`, which is made
    when it is missing.

    The key is the symbol, so bars of a symbol keep their order in one partition. `producer.rate` or `speed`, `max_messages` and
    `loop` hold. A message that failed is counted, not raised: the caller looks at `failed`. Setting `stop` ends the
    replay soon, with a report of what was sent until then. Raises BrokerUnreachableError when no broker answers at the start,
    and what reading the feed raises.
    """
    ensure_topic(settings)
    if settings.producer.acks != "all":
        log.warning("producer is not idempotent: a retry can repeat or lose a message", acks=settings.producer.acks)
    stop, started = stop or threading.Event(), time.monotonic()
    feed = TableFeed(bars) if isinstance(bars, pa.Table) else bars
    teller = Teller(on_progress, goal(settings.producer, feed))
    failures = _Failures(settings.kafka.topic)
    outbox = Outbox(settings, stop, on_wait=lambda: teller.tell(outbox.delivered), on_failure=failures.note)
    _send_all(settings.producer, feed, outbox, teller, stop)
    outbox.drain()
    teller.tell(outbox.delivered, is_last=True)
    return ReplayReport(outbox.produced, outbox.delivered, outbox.failed, time.monotonic() - started, failures.first)


def goal(settings: ProducerSettings, feed: Feed) -> int | None:
    """How many messages a replay is of; None when it goes on until it is stopped."""
    if settings.loop and feed.rows:
        return settings.max_messages
    return min(feed.rows, settings.max_messages or feed.rows)


class Teller:
    """Tells the progress, a few times a second."""

    def __init__(self, on_progress: Progress | None, total: int | None) -> None:
        self._on_progress = on_progress
        self._total = total
        self._next = 0.0

    def tell(self, delivered: int, *, is_last: bool = False) -> None:
        """Tell how many were delivered, unless it was told a moment ago."""
        if self._on_progress is not None and (is_last or time.monotonic() >= self._next):
            self._on_progress(delivered, self._total)
            self._next = time.monotonic() + _PROGRESS_SECONDS


class _Failures:
    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.first: str | None = None

    def note(self, error: KafkaError) -> None:
        if self.first is None:
            self.first = error.str()
            log.error("a message was not delivered", topic=self._topic, error=self.first)


def _send_all(settings: ProducerSettings, feed: Feed, outbox: Outbox, teller: Teller, stop: threading.Event) -> None:
    pace = choose_pace(settings)
    for messages in read_slices(feed, pace, until=settings.max_messages, loop=settings.loop):
        outbox.wait_until(pace.due(messages.event_time, len(messages)))
        outbox.send(messages)
        teller.tell(outbox.delivered)
        if stop.is_set():
            return
    outbox.wait_until(pace.end())
