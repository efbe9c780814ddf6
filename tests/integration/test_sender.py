"""What is handed to librdkafka past `confluent_kafka` arrives as it was, and its reports are all counted."""

from __future__ import annotations

import random
import time

import confluent_kafka
import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from kafka_messages import consume_topic

from ingestion.librdkafka import UntriedClientError
from ingestion.sender import Reports, Sender
from ingestion.topic import ensure_topic
from tickhouse.settings import Settings

NOWHERE = "127.0.0.1:1"
END = b"}"


def producer(servers: str, **client: object) -> Producer:
    return Producer({"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 0, **client})


def binary(values: list[bytes]) -> pa.BinaryArray:
    return pa.array(values, pa.binary())


def all_reports(client: Producer, sender: Sender) -> Reports:
    """What is reported until the client holds nothing more."""
    delivered, failed, deadline = 0, dict[KafkaError, int](), time.monotonic() + 60
    while len(client):
        assert time.monotonic() < deadline
        reports = sender.take_reports(0.1)
        delivered += reports.delivered
        for error, messages in reports.failed.items():
            failed[error] = failed.get(error, 0) + messages
    return Reports(delivered, failed, None)


def test_every_message_arrives_as_it_was_handed_over(kafka_settings: Settings) -> None:
    ensure_topic(kafka_settings)
    chance = random.Random(20261123)
    pairs = [(chance.randbytes(chance.randrange(12)), chance.randbytes(chance.choice((0, 7, 180, 5_000)))) for _ in range(3_000)]
    client = producer(kafka_settings.kafka.bootstrap_servers)
    sender = Sender(client, kafka_settings.kafka.topic)
    keys, values = binary([key for key, _ in pairs]), binary([value for _, value in pairs])
    for start in range(0, len(pairs), 700):
        assert sender.hand_over(keys[start : start + 700], values[start : start + 700], END) == min(700, len(pairs) - start)
    assert all_reports(client, sender) == Reports(len(pairs), {}, None)

    messages = consume_topic(kafka_settings)
    sent = sorted((key, value + END) for key, value in pairs)
    assert sorted((message.key() or b"", message.value()) for message in messages) == sent
    assert {str(message.headers()) for message in messages} == {str([("schema_version", b"1")])}


def test_nothing_handed_over_is_nothing_sent() -> None:
    client = producer(NOWHERE)
    assert Sender(client, "bars").hand_over(binary([]), binary([]), END) == 0


def test_a_full_client_takes_what_it_has_room_for_and_reports_each_that_is_given_up() -> None:
    client = producer(NOWHERE, **{"queue.buffering.max.messages": 100})
    sender = Sender(client, "bars")
    assert sender.hand_over(binary([b"K"] * 150), binary([b"V"] * 150), END) == 100
    assert sender.hand_over(binary([b"K"]), binary([b"V"]), END) == 0
    client.purge()
    failed = all_reports(client, sender).failed
    assert {error.code(): messages for error, messages in failed.items()} == {KafkaError._PURGE_QUEUE: 100}


def test_a_message_that_is_refused_at_once_is_an_error() -> None:
    client = producer(NOWHERE, **{"message.max.bytes": 1_000})
    with pytest.raises(KafkaException, match="too large"):
        Sender(client, "bars").hand_over(binary([b"K"]), binary([b"V" * 10_000]), END)


def test_an_outage_is_complained_of() -> None:
    client = producer(NOWHERE)
    sender, deadline = Sender(client, "bars"), time.monotonic() + 60
    codes: set[int] = set()
    while KafkaError._ALL_BROKERS_DOWN not in codes:
        assert time.monotonic() < deadline
        complaint = sender.take_reports(0.1).complaint
        codes |= set() if complaint is None else {complaint.code()}


def test_another_version_of_the_client_is_refused_before_its_memory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    client = producer(NOWHERE)
    monkeypatch.setattr(confluent_kafka, "version", lambda: "2.17.0")
    with pytest.raises(UntriedClientError, match=r"2\.17\.0.*requirements\.lock"):
        Sender(client, "bars")
