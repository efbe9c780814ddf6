"""The ingestor as a process: how it ends, what it logs, what it tells whoever started it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from ingesting import (
    VERSION,
    IngestorProcess,
    Sender,
    assert_landed_exactly,
    bar_message,
    chains,
    committed,
    ingesting,
    quick,
    send_bars,
    wait_until,
    wait_until_landed,
    with_kafka,
)

from tickhouse.settings import LoggingSettings, Settings


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


def test_an_ingestor_ends_soon_also_when_no_broker_answers(settings: Settings, tmp_path: Path) -> None:
    own = with_kafka(settings, bootstrap_servers="127.0.0.1:1")
    with IngestorProcess(own, tmp_path / "log") as ingestor:
        wait_until(lambda: "waiting for Kafka" in ingestor.log.read_text(), "the ingestor waits for the broker")
        started = time.monotonic()
        assert ingestor.terminate() == 0
        assert time.monotonic() - started < 5
