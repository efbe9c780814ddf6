"""The ingestor and a real broker: what is produced is landed, whatever the messages are."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic
from ingesting import (
    VERSION,
    Sender,
    assert_landed_exactly,
    bar_message,
    chains,
    dead_letters,
    ingesting,
    quick,
    send_bars,
    slots,
    wait_until,
    wait_until_landed,
)
from kafka_admin import admin
from structlog.testing import capture_logs

from ingestion.ingestor import run_ingestor
from ingestion.topic import ensure_topic
from tickhouse.settings import Settings, StorageSettings
from tickhouse.storage import StorageRefusedError


def test_what_is_produced_is_landed_exactly(topic_settings: Settings) -> None:
    sent = send_bars(topic_settings, range(1000))
    with ingesting(topic_settings):
        wait_until_landed(topic_settings, 1000)
        sent += send_bars(topic_settings, range(1000, 1500))
        wait_until_landed(topic_settings, 1500)
    assert_landed_exactly(topic_settings, sent)
    assert len(chains(topic_settings)) == 3


def test_a_restart_goes_on_where_the_chain_ends(topic_settings: Settings) -> None:
    sent = []
    for round_ in range(3):
        sent += send_bars(topic_settings, range(round_ * 100, round_ * 100 + 100))
        with ingesting(topic_settings):
            wait_until_landed(topic_settings, len(sent))
    assert_landed_exactly(topic_settings, sent)


def test_a_batch_is_landed_at_its_rows(one_partition: Settings) -> None:
    settings = quick(one_partition, flush_rows=40, flush_seconds=3600)
    send_bars(settings, range(100))
    with ingesting(settings):
        wait_until_landed(settings, 80)
    assert [slot.footer.rows for slot in slots(settings)] == [40, 40, 20]


def test_a_batch_is_landed_at_its_bytes(one_partition: Settings) -> None:
    settings = quick(one_partition, flush_bytes=10_000, flush_seconds=3600)
    sent = send_bars(settings, range(100))
    sizes = [len(one.value or b"") + len(one.key or b"") for one in sent]
    with ingesting(settings):
        wait_until(lambda: len(slots(settings)) >= 2, "two batches are full")
    for slot in slots(settings)[:2]:
        held = sizes[slot.footer.position : slot.footer.next_offset]
        assert sum(held[:-1]) < 10_000 <= sum(held)


def test_a_message_lands_at_its_age_when_nothing_follows_it(one_partition: Settings) -> None:
    settings = quick(one_partition, flush_seconds=0.3)
    with ingesting(settings):
        wait_until(lambda: bool(chains(settings)), "the partition is assigned")
        for number in range(2):
            send_bars(settings, [number])
            started = time.monotonic()
            wait_until_landed(settings, number + 1)
            assert 0.2 < time.monotonic() - started < 3.0
    assert [slot.footer.rows for slot in slots(settings)] == [1, 1]


def test_poison_becomes_dead_letters_byte_for_byte_while_the_rest_lands(one_partition: Settings) -> None:
    sender = Sender(one_partition)
    poison = [
        (b"\x00\xff not json", b"\xfe\xff", VERSION),
        (None, b"AAPL", VERSION),
        (b"", None, []),
        (bar_message(1), b"AAPL", [("schema_version", b"2"), ("trace", b"\x01\x02")]),
        (b"null", b"AAPL", VERSION),
        (bar_message(2, ts="2000-02-30T00:00:00Z"), b"AAPL", VERSION),
        (bar_message(3, open="12"), b"AAPL", VERSION),
        (bar_message(4) + b"\n" + bar_message(5), b"AAPL", VERSION),
        (b"[" * 200_000, b"AAPL", VERSION),
    ]
    expected = []
    for number in range(200):
        if number % 20 == 10:
            value, key, headers = poison[number // 20 % len(poison)]
            expected.append((number, key, value, headers))
            sender.send(value, key, headers)
        else:
            sender.send(bar_message(number), b"AAPL")
    sent = sender.flush()
    with ingesting(one_partition):
        wait_until_landed(one_partition, 200)
    bars = [one for one in sent if one.offset % 20 != 10]
    assert_landed_exactly(one_partition, bars)
    letters = dead_letters(one_partition)
    found = [
        (letter["offset"], letter["key"], letter["value"], [(one["name"], one["value"]) for one in letter["headers"]])
        for letter in letters
    ]
    assert found == expected
    assert [letter["stage"] for letter in letters[:9]] == [
        *("json", "json", "json", "version", "json"),
        *("values", "fields", "json", "json"),
    ]
    assert all(letter["topic"] == one_partition.kafka.topic and letter["partition"] == 0 for letter in letters)
    assert all(abs((letter["kafka_timestamp"] - datetime.now(UTC)).total_seconds()) < 300 for letter in letters)


def test_unknown_fields_are_kept_out_and_counted_in_the_log(one_partition: Settings) -> None:
    sender = Sender(one_partition)
    for number in range(5):
        sender.send(bar_message(number, vwap=1.0, **({"note": "x"} if number == 3 else {})))
    sender.flush()
    with capture_logs() as lines, ingesting(one_partition):
        wait_until_landed(one_partition, 5)
    told = [line for line in lines if line["event"] == "slot landed"]
    assert sum(line["extra_fields"]["vwap"] for line in told) == 5
    assert sum(line["extra_fields"].get("note", 0) for line in told) == 1


def test_every_landed_slot_is_told_in_the_log(one_partition: Settings) -> None:
    send_bars(one_partition, range(10))
    Sender(one_partition).flush()
    with capture_logs() as lines, ingesting(one_partition):
        wait_until_landed(one_partition, 10)
    told = [line for line in lines if line["event"] == "slot landed"]
    own = slots(one_partition)
    assert [(line["chain"], line["position"], line["next_offset"], line["rows"], line["dead_letters"]) for line in told] == [
        (slot.chain.path, slot.footer.position, slot.footer.next_offset, slot.footer.rows, slot.footer.dead_letters)
        for slot in own
    ]
    assert all(line["seconds"] > 0 for line in told)


def test_an_ingestor_waits_for_a_topic_that_is_not_there_yet(kafka_settings: Settings) -> None:
    settings = quick(kafka_settings)
    with capture_logs() as lines, ingesting(settings):
        wait_until(lambda: any(line["event"] == "waiting for Kafka" for line in lines), "the ingestor says that it waits")
        ensure_topic(settings)
        sent = send_bars(settings, range(10))
        wait_until_landed(settings, 10)
    assert_landed_exactly(settings, sent)
    assert any("topic create" in line.get("reason", "") for line in lines)


def test_a_topic_on_producers_clocks_is_warned_of(kafka_settings: Settings) -> None:
    settings = quick(kafka_settings)
    topic = NewTopic(settings.kafka.topic, 1, config={"message.timestamp.type": "CreateTime"})
    client = admin(settings)
    client.create_topics([topic])[settings.kafka.topic].result(30)
    with capture_logs() as lines, ingesting(settings):
        wait_until(lambda: bool(chains(settings)), "the chain is begun")
    (warning,) = [line for line in lines if line["log_level"] == "warning" and "clock" in line["event"]]
    assert warning["timestamp_type"] == "CreateTime"


def test_a_lake_that_cannot_be_used_is_refused_before_anything_is_read(topic_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = topic_settings.model_copy(update={"storage": StorageSettings(path=tmp_path / "file")})
    with pytest.raises(StorageRefusedError, match="file"):
        run_ingestor(settings, threading.Event())


def test_sent_messages_are_told_apart(one_partition: Settings) -> None:
    sent = send_bars(one_partition, range(3))
    with ingesting(one_partition):
        wait_until_landed(one_partition, 3)
    with pytest.raises(AssertionError):
        assert_landed_exactly(one_partition, [*sent[:2], replace(sent[2], value=bar_message(7))])
