from __future__ import annotations

from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from ingestion.outage import Outage


def test_an_outage_is_told_when_it_begins_every_ten_seconds_of_it_and_when_it_ends() -> None:
    now = 0.0
    outage = Outage("broker-1:9092", lambda: now)
    with capture_logs() as logs:
        for second in range(25):
            now = float(second)
            for code in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE):
                outage.note(KafkaError(code))
        assert outage.is_on
        outage.end()
        outage.end()
    assert [(entry["event"], entry["seconds"]) for entry in logs] == [
        ("no broker answers; trying on", 0),
        ("no broker answers; trying on", 10),
        ("no broker answers; trying on", 20),
        ("a broker answers again", 24),
    ]
    assert logs[0]["bootstrap_servers"] == "broker-1:9092"
    assert not outage.is_on


def test_a_lost_connection_is_no_outage_and_another_complaint_is_passed_on() -> None:
    outage = Outage("broker-1:9092")
    with capture_logs() as logs:
        outage.note(KafkaError(KafkaError._TRANSPORT))
        outage.note(KafkaError(KafkaError._AUTHENTICATION))
        outage.note(KafkaError(KafkaError._AUTHENTICATION))
    assert [entry["event"] for entry in logs] == ["Kafka's client complains"]
    assert not outage.is_on
