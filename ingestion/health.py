"""Whether an ingestor is well, told over HTTP beside its metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

import structlog
from prometheus_client import MetricsHandler, disable_created_metrics

from ingestion.metrics import IngestorMetrics
from tickhouse.settings import MetricsSettings

_PATHS = "/metrics, /healthz, /readyz"
_ANSWER_SECONDS = 5.0
_POLL_SECONDS = 0.1

log = structlog.get_logger(__name__)


class MetricsPortError(OSError):
    """Nothing can listen where the metrics were to be served."""


@dataclass(frozen=True)
class Verdict:
    """Whether it is well, and the facts that say so, as JSON carries them."""

    is_well: bool
    facts: dict[str, Any]


def liveness(metrics: IngestorMetrics, stalled_seconds: float) -> Verdict:
    """Alive while the loop came round within `stalled_seconds`. Waiting for Kafka is life; hanging in a call is not."""
    seconds = metrics.seconds_since_turn
    is_alive = seconds <= stalled_seconds
    return Verdict(is_alive, {"alive": is_alive, "seconds_since_turn": round(seconds, 3), "stalled_seconds": stalled_seconds})


def readiness(metrics: IngestorMetrics, stalled_seconds: float) -> Verdict:
    """Ready when it is alive, the storage was probed, and the group gave it partitions or keeps it as a standby."""
    partitions = metrics.partitions
    missing = []
    if not metrics.is_storage_probed:
        missing.append("the storage has not been probed yet")
    if partitions is None:
        missing.append("no place in the consumer group: Kafka has not answered yet, or the group is rebalancing")
    if not liveness(metrics, stalled_seconds).is_well:
        missing.append(f"the loop has stood still for {metrics.seconds_since_turn:.0f} s")
    facts = {
        "ready": not missing,
        "missing": missing,
        "topic": metrics.topic,
        "partitions": None if partitions is None else sorted(partitions),
        "standby": partitions == frozenset(),
        "lag": metrics.lags(),
        "last_landing_age_seconds": {partition: round(age, 3) for partition, age in metrics.ages().items()},
    }
    return Verdict(not missing, facts)


@contextmanager
def serving(settings: MetricsSettings, metrics: IngestorMetrics) -> Iterator[int | None]:
    """While the block runs, answer /metrics, /healthz and /readyz from a thread of their own; the port, None when it is off.

    Raises MetricsPortError when the port cannot be had.
    """
    if settings.port is None:
        yield None
        return
    disable_created_metrics()  # a time of creation for every series would double what a scrape carries
    server = _listen(settings, metrics)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True)
    thread.start()
    port: int = server.server_address[1]
    log.info("metrics are served", host=settings.host, port=port, paths=_PATHS)
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(settings: MetricsSettings, metrics: IngestorMetrics) -> _Server:
    assert settings.port is not None
    handler = type(
        "Handler", (_Handler,), {"metrics": metrics, "stalled_seconds": settings.stalled_seconds, "registry": metrics.registry}
    )
    try:
        return _Server((settings.host, settings.port), handler)
    except OSError as error:
        raise MetricsPortError(
            f"cannot serve metrics on {settings.host}, port {settings.port} ({error.strerror}): set metrics.port "
            "(TICKHOUSE_METRICS__PORT) to a free one, another for each ingestor of this machine, or to null for none"
        ) from None


class _Server(ThreadingTCPServer):
    allow_reuse_address = True  # a port that was left a moment ago is free
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a scrape was broken off", exc_info=True)


class _Handler(MetricsHandler):
    metrics: IngestorMetrics
    stalled_seconds: float
    timeout = _ANSWER_SECONDS

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            super().do_GET()
        elif path == "/healthz":
            self._answer(liveness(self.metrics, self.stalled_seconds))
        elif path == "/readyz":
            self._answer(readiness(self.metrics, self.stalled_seconds))
        else:
            self.send_error(404, f"there is {_PATHS}")

    def _answer(self, verdict: Verdict) -> None:
        body = json.dumps(verdict.facts).encode() + b"\n"
        self.send_response(200 if verdict.is_well else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
