"""What a running ingestor says of itself: counts that match what landed, its lag, and whether it is well."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from ingesting import VERSION, Sender, bar_message, ingesting, send_bars, wait_until, wait_until_landed
from prometheus_client.parser import text_string_to_metric_families

from ingestion.health import MetricsPortError
from ingestion.ingestor import run_ingestor
from tickhouse.settings import MetricsSettings, Settings


def measured(settings: Settings) -> Settings:
    """The same, with metrics on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return settings.model_copy(update={"metrics": MetricsSettings(port=probe.getsockname()[1])})


def get(settings: Settings, path: str) -> bytes:
    address = f"http://127.0.0.1:{settings.metrics.port}{path}"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()
    except urllib.error.URLError:
        return b""  # it does not listen yet


def readiness(settings: Settings) -> dict[str, Any]:
    return json.loads(get(settings, "/readyz") or b"{}")


def total(settings: Settings, name: str) -> float:
    """The sum of a metric over all its labels."""
    families = text_string_to_metric_families(get(settings, "/metrics").decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == f"tickhouse_ingestor_{name}")


def test_the_counts_are_those_of_what_landed_and_the_lag_falls_to_nothing(topic_settings: Settings) -> None:
    settings = measured(topic_settings)
    sent = send_bars(settings, range(300))
    poison = Sender(settings)
    poison.send(b"no bar", headers=VERSION)
    poison.send(bar_message(1, interval="never"), headers=VERSION)
    poison.flush()
    with ingesting(settings):
        wait_until_landed(settings, 302)
        wait_until(lambda: sum(readiness(settings)["lag"].values()) == 0, "no lag")
        assert total(settings, "messages_total") == 302
        assert total(settings, "bytes_total") > sum(len(one.value or b"") for one in sent)
        assert (total(settings, "rows_total"), total(settings, "dead_letters_total")) == (300, 2)
        assert total(settings, "slots_total") == total(settings, "flush_seconds_count") >= 3
        assert total(settings, "group_member") == 1
        assert 0 <= total(settings, "last_landing_age_seconds") < 300
        assert json.loads(get(settings, "/healthz"))["alive"]


def test_one_without_partitions_is_ready_as_a_standby(one_partition: Settings) -> None:
    first, second = measured(one_partition), measured(one_partition)
    with ingesting(first), ingesting(second):

        def share() -> list[list[int]]:
            return sorted(told["partitions"] for one in (first, second) if (told := readiness(one)).get("ready"))

        wait_until(lambda: share() == [[], [0]], "one has the partition, the other stands by")


def test_one_that_waits_for_its_topic_is_alive_and_says_what_it_waits_for(kafka_settings: Settings) -> None:
    settings = measured(kafka_settings)
    with ingesting(settings):
        wait_until(lambda: total(settings, "retries_total") > 0, "it has asked Kafka again")
        told = readiness(settings)
        assert not told["ready"]
        assert [reason[:12] for reason in told["missing"]] == ["no place in "]
        assert json.loads(get(settings, "/healthz"))["alive"]


def test_a_second_ingestor_on_the_port_ends_before_it_joins(one_partition: Settings) -> None:
    settings = measured(one_partition)
    with ingesting(settings):
        wait_until(lambda: readiness(settings).get("ready", False), "the first is ready")
        with pytest.raises(MetricsPortError, match=r"another for each ingestor of this machine"):
            run_ingestor(settings, threading.Event())
