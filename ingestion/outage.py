"""What Kafka's client complains of, told in our words and not many times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError

REPEAT_SECONDS = 10.0
_ONE_CONNECTION = {KafkaError._TRANSPORT, KafkaError._RESOLVE}

log = structlog.get_logger(__name__)


class Outage:
    """Says that no broker answers when that begins and every ten seconds of it, and once that one answers again."""

    def __init__(self, servers: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = servers
        self._clock = clock
        self._began_at: float | None = None
        self._told_at: dict[int, float] = {}

    @property
    def is_on(self) -> bool:
        """Whether no broker has answered since one was missed."""
        return self._began_at is not None

    def note(self, error: KafkaError) -> None:
        """Take a complaint, as the client's `error_cb`. One lost connection is none: the client makes it anew."""
        now, code = self._clock(), error.code()
        if code in _ONE_CONNECTION or now - self._told_at.get(code, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        self._told_at[code] = now
        if code != KafkaError._ALL_BROKERS_DOWN:
            log.warning("Kafka's client complains", reason=error.str())
            return
        if self._began_at is None:
            self._began_at = now
        log.warning("no broker answers; trying on", bootstrap_servers=self._servers, seconds=round(now - self._began_at))

    def end(self) -> None:
        """A message has arrived, or a transaction: whatever it was is over."""
        if self._began_at is not None:
            log.info("a broker answers again", seconds=round(self._clock() - self._began_at, 1))
            self._began_at = None
            self._told_at.clear()
