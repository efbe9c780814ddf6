"""The ingestor as a process: killed, ended, and with its broker gone, it loses nothing and repeats nothing."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ingesting import (
    VERSION,
    IngestorProcess,
    Sender,
    Sent,
    assert_landed_exactly,
    bar_message,
    chains,
    committed,
    ingesting,
    landed_count,
    quick,
    send_bars,
    slots,
    wait_until,
    wait_until_landed,
    with_kafka,
)

from ingestion.broker import KafkaBroker
from ingestion.topic import ensure_topic
from tickhouse.settings import LoggingSettings, Settings


@contextmanager
def sending(settings: Settings) -> Iterator[list[Sent]]:
    """Messages go out all the while; what was acknowledged by the end of the block is in the list."""
    stop, sent = threading.Event(), list[Sent]()

    def send() -> None:
        number = 0
        while not stop.wait(0.01):
            sent.extend(send_bars(settings, range(number, number + 100)))
            number += 100

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def test_a_killed_ingestor_loses_nothing_and_repeats_nothing(topic_settings: Settings, tmp_path: Path) -> None:
    chance = random.Random()
    settings = quick(topic_settings, flush_seconds=0.05)
    with sending(settings) as sent:
        for group in (1, 1, 2, 3):
            # The second of one group waits for the dead member, and has a commit that hints at the chain's end.
            own = with_kafka(settings, group=f"{settings.kafka.group}-{group}")
            before = landed_count(own)
            with IngestorProcess(own, tmp_path / "log") as ingestor:
                wait_until(lambda before=before: landed_count(settings) > before, "something more is landed")  # type: ignore[misc]
                time.sleep(chance.uniform(0, 0.4))
                ingestor.kill()
    with ingesting(with_kafka(settings, group=f"{settings.kafka.group}-last")):
        wait_until_landed(settings, len(sent))
    assert_landed_exactly(settings, sent)
    assert len({slot.footer.writer for slot in slots(settings)}) >= 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_ingestor_lands_what_it_holds_commits_and_leaves(number: int, one_partition: Settings, tmp_path: Path) -> None:
    settings = quick(one_partition, flush_rows=100, flush_seconds=3600)
    sent = send_bars(settings, range(250))
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        wait_until_landed(settings, 200)
        started = time.monotonic()
        assert ingestor.terminate(number) == 0
        assert time.monotonic() - started < 5
    assert_landed_exactly(settings, sent)
    assert committed(settings)[0].offset == 250
    started = time.monotonic()
    with ingesting(quick(settings)):
        sent += send_bars(settings, range(250, 260))
        wait_until_landed(settings, 260)
        assert time.monotonic() - started < 5, "the next one waited for a member that has left"


def test_the_log_is_one_json_object_a_line(one_partition: Settings, tmp_path: Path) -> None:
    settings = one_partition.model_copy(update={"logging": LoggingSettings(format="json")})
    sender = Sender(settings)
    for number in range(20):
        sender.send(bar_message(number) if number != 7 else b"poison", headers=VERSION)
    sender.flush()
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        wait_until_landed(settings, 20)
        ingestor.terminate()
    lines = [json.loads(line) for line in ingestor.log.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "slot landed"]
    assert sum(line["rows"] for line in told) == 19
    assert sum(line["dead_letters"] for line in told) == 1
    assert all(line["chain"] == chains(settings)[0].path and line["level"] == "info" for line in told)
    assert lines[-1]["event"] == "ingestor stopped"


def test_an_error_ends_the_process_with_a_reason(one_partition: Settings, tmp_path: Path) -> None:
    settings = with_kafka(one_partition, offset_reset="error")
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        assert ingestor.process.wait(30) == 1
    text = ingestor.log.read_text()
    assert "kafka.offset_reset is error" in text
    assert "Traceback" not in text


def test_a_broker_that_comes_late_and_goes_down_costs_no_message(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        broker = KafkaBroker(tmp_path / "broker", port=probe.getsockname()[1])
    own = quick(with_kafka(settings, bootstrap_servers=broker.bootstrap_servers, partitions=2))
    with IngestorProcess(own, tmp_path / "log") as ingestor:
        wait_until(lambda: "no broker answers" in ingestor.log.read_text(), "the ingestor waits for the broker")
        with broker:
            ensure_topic(own)
            sent = send_bars(own, range(500))
            wait_until_landed(own, 500)
            sent += send_bars(own, range(500, 800))
            broker.kill()
        with broker:
            sent += send_bars(own, range(800, 1000))
            wait_until_landed(own, 1000)
            assert ingestor.terminate() == 0
    assert_landed_exactly(own, sent)


def test_an_ingestor_ends_soon_also_when_no_broker_answers(settings: Settings, tmp_path: Path) -> None:
    own = with_kafka(settings, bootstrap_servers="127.0.0.1:1")
    with IngestorProcess(own, tmp_path / "log") as ingestor:
        wait_until(lambda: "waiting for Kafka" in ingestor.log.read_text(), "the ingestor waits for the broker")
        started = time.monotonic()
        assert ingestor.terminate() == 0
        assert time.monotonic() - started < 5
