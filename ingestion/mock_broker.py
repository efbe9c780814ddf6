"""The stand-in where no broker can be had: librdkafka's mock cluster, held by this process."""

from __future__ import annotations

from typing import Self

import structlog
from confluent_kafka import Producer

log = structlog.get_logger(__name__)


class MockBroker:
    """A cluster of one in this process's memory, on a free loopback port.

    A partition keeps its last 5 MiB or 100,000 batches and drops older ones in silence, so a consumer of it
    needs `auto.offset.reset=error`. Topics appear when asked for (CreateTopics is refused), their time is the
    producers', a consumer's first join takes 3 s, assignment is by range only, and there are no transactions.
    """

    def __init__(self, host: Producer, bootstrap_servers: str) -> None:
        self._host: Producer | None = host
        self.bootstrap_servers = bootstrap_servers

    @classmethod
    def start(cls, reason: str) -> Self:
        """Start one and say loudly that it keeps nothing, and why it is used."""
        host = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        brokers = host.list_topics(timeout=10).brokers.values()
        servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        log.warning(
            "NO KAFKA BROKER: using an in-memory mock that keeps nothing. Messages are lost when this process ends, "
            "and in silence once a partition holds 5 MiB. For trying out only.",
            reason=reason,
            bootstrap_servers=servers,
        )
        return cls(host, servers)

    def stop(self) -> None:
        """End the cluster; everything it held is gone."""
        self._host = None
