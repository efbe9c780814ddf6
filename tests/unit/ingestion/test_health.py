"""An ingestor says over HTTP whether it is alive, whether it is ready, and what is missing."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ingestion.health import MetricsPortError, liveness, readiness, serving
from ingestion.metrics import IngestorMetrics
from tickhouse.settings import MetricsSettings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> IngestorMetrics:
    return IngestorMetrics("bars", clock)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def port(metrics: IngestorMetrics) -> Iterator[int]:
    with serving(MetricsSettings(port=free_port()), metrics) as port:
        assert port is not None
        yield port


def get(port: int, path: str) -> tuple[int, Any, str]:
    """Status, body (JSON where it is), content type."""
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body, kind = answer.read(), answer.headers.get_content_type()
        return answer.status, json.loads(body) if kind == "application/json" else body.decode(), kind


def test_a_loop_that_stands_still_is_not_alive(metrics: IngestorMetrics, clock: Clock) -> None:
    clock.now += 60
    assert liveness(metrics, 60.0).is_well
    clock.now += 1
    assert not liveness(metrics, 60.0).is_well
    metrics.turned()
    assert liveness(metrics, 60.0).is_well


def test_it_is_ready_once_the_storage_is_probed_and_the_group_gave_it_a_place(metrics: IngestorMetrics) -> None:
    assert len(readiness(metrics, 60.0).facts["missing"]) == 2
    metrics.storage_probed()
    (missing,) = readiness(metrics, 60.0).facts["missing"]
    assert missing.startswith("no place in the consumer group")
    metrics.assigned({1: 7, 0: 0})
    verdict = readiness(metrics, 60.0)
    assert verdict.is_well
    assert (verdict.facts["partitions"], verdict.facts["standby"]) == ([0, 1], False)


def test_a_standby_is_ready(metrics: IngestorMetrics) -> None:
    metrics.storage_probed()
    metrics.assigned({})
    verdict = readiness(metrics, 60.0)
    assert verdict.is_well
    assert (verdict.facts["partitions"], verdict.facts["standby"]) == ([], True)


def test_one_that_the_group_has_no_place_for_or_that_hangs_is_not_ready(metrics: IngestorMetrics, clock: Clock) -> None:
    metrics.storage_probed()
    metrics.assigned({0: 0})
    clock.now += 75
    assert readiness(metrics, 60.0).facts["missing"] == ["the loop has stood still for 75 s"]
    metrics.turned()
    metrics.revoked([0])
    assert readiness(metrics, 60.0).facts["missing"][0].startswith("no place in the consumer group")


def test_metrics_and_health_are_answered_on_one_port(metrics: IngestorMetrics, port: int) -> None:
    metrics.fetched(0, 5, 900)
    status, text, kind = get(port, "/metrics")
    assert (status, kind) == (200, "text/plain")
    assert 'tickhouse_ingestor_messages_total{partition="0",topic="bars"} 5.0' in text
    assert "_created" not in text
    status, body, kind = get(port, "/healthz")
    assert (status, body["alive"], kind) == (200, True, "application/json")
    assert get(port, "/elsewhere")[0] == 404


def test_what_is_not_well_is_an_error_to_who_asks_over_http(metrics: IngestorMetrics, port: int, clock: Clock) -> None:
    assert get(port, "/readyz")[0] == 503
    metrics.storage_probed()
    metrics.assigned({0: 0})
    assert get(port, "/readyz")[:2] == (
        200,
        {
            "ready": True,
            "missing": [],
            "topic": "bars",
            "partitions": [0],
            "standby": False,
            "lag": {},
            "last_landing_age_seconds": {},
        },
    )
    clock.now += 61
    assert (get(port, "/healthz")[0], get(port, "/readyz")[0]) == (503, 503)


def test_a_taken_port_names_its_setting_and_the_way_out(metrics: IngestorMetrics) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = MetricsSettings(port=taken.getsockname()[1])
        with (
            pytest.raises(MetricsPortError, match=r"set metrics\.port \(TICKHOUSE_METRICS__PORT\) to a free one"),
            serving(settings, metrics),
        ):
            pass


def test_without_a_port_nothing_listens(metrics: IngestorMetrics) -> None:
    with serving(MetricsSettings(), metrics) as port:
        assert port is None


def test_the_port_is_free_again_afterwards(metrics: IngestorMetrics) -> None:
    settings = MetricsSettings(port=free_port())
    for _ in range(2):
        with serving(settings, metrics) as port:
            assert port is not None
            assert get(port, "/healthz")[0] == 200
