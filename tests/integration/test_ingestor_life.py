"""An ingestor's clean life: it ends when told to, and what it meets is told in a line, with the right way out."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from pathlib import Path

import pytest
from faulty_storage import Fault, FaultyStorage, no_faults, seeded_faults
from ingesting import (
    IngestorProcess,
    Sender,
    assert_gapless,
    assert_landed_exactly,
    bar_message,
    chains,
    committed,
    ingesting,
    landed,
    landed_count,
    quick,
    send_bars,
    slots,
    wait_until,
    wait_until_landed,
    with_kafka,
)
from kafka_admin import delete_records_before, delete_topic
from s3_server import CREDENTIALS, s3_server
from structlog.testing import capture_logs

from ingestion import ingestor, patience
from ingestion.ingestor import run_ingestor
from tickhouse.settings import Settings, StorageSettings
from tickhouse.storage.local import LocalStorage

BACKLOG = 200_000
END_SECONDS = 10.0


def send_backlog(settings: Settings, messages: int) -> None:
    sender, values = Sender(settings), [bar_message(number) for number in range(1000)]
    for number in range(messages):
        sender.send(values[number % len(values)])
    sender.flush()


def refused(settings: Settings, log: Path, environment: dict[str, str] | None = None) -> str:
    """The log of an ingestor that ends by itself, with exit code 1 and no traceback."""
    with IngestorProcess(settings, log, environment) as ingestor:
        assert ingestor.process.wait(30) == 1
    text = log.read_text()
    assert "ingestor ends" in text
    assert "Traceback" not in text
    return text


def test_told_to_end_under_a_backlog_it_lands_what_it_holds_and_leaves_the_rest(one_partition: Settings, tmp_path: Path) -> None:
    settings = quick(one_partition, flush_rows=2_000)
    send_backlog(settings, BACKLOG)
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        wait_until(lambda: landed_count(settings) > 0, "the first slot is landed")
        started = time.monotonic()
        assert ingestor.terminate() == 0
        assert time.monotonic() - started < END_SECONDS
    (end,) = {slot.footer.next_offset for slot in slots(settings)[-1:]}
    assert 0 < end < BACKLOG, "the whole backlog was drained first"
    assert committed(settings)[0].offset == end
    assert_gapless(settings)


def test_a_folder_that_cannot_be_the_lakes_ends_the_process_with_a_line(topic_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file", tmp_path / "file" / "lake", Path("/sys/lake")]  # where nobody may write, root neither
    for number, place in enumerate(places):
        settings = topic_settings.model_copy(update={"storage": StorageSettings(path=place)})
        text = refused(settings, tmp_path / f"log-{number}")
        assert f"cannot write to the lake at {place}, or it knows no hard links: " in text
    assert chains(topic_settings) == []


def test_a_bucket_that_is_missing_ends_the_process_with_a_line(topic_settings: Settings, tmp_path: Path) -> None:
    with s3_server() as address:
        bucket = f"none-{uuid.uuid4().hex[:8]}"
        chosen = StorageSettings(kind="s3", bucket=bucket, endpoint_url=address)
        text = refused(topic_settings.model_copy(update={"storage": chosen}), tmp_path / "log", CREDENTIALS)
    assert f"s3://{bucket}/" in text
    assert "NoSuchBucket" in text


def test_retention_that_passes_a_sleeping_ingestor_ends_it_with_the_way_on_and_what_it_held_is_landed(
    one_partition: Settings, tmp_path: Path
) -> None:
    settings = quick(one_partition, flush_rows=3, flush_seconds=3600)
    send_bars(settings, range(5))
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        wait_until_landed(settings, 3)
        os.kill(ingestor.process.pid, signal.SIGSTOP)
        send_bars(settings, [5])  # answers the request for more that it may have sent before
        send_bars(settings, range(6, 20))
        delete_records_before(settings, 15)
        os.kill(ingestor.process.pid, signal.SIGCONT)
        assert ingestor.process.wait(30) == 1
    text = (tmp_path / "log").read_text()
    assert "data loss" in text
    assert "`tickhouse topic adopt`" in text
    assert "Traceback" not in text
    assert_gapless(settings)
    assert landed_count(settings) in (5, 6)


def test_a_topic_that_is_deleted_meanwhile_ends_the_ingestor_and_what_it_held_is_landed(
    one_partition: Settings, tmp_path: Path
) -> None:
    settings = quick(one_partition, flush_rows=3, flush_seconds=3600)
    send_bars(settings, range(5))
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        wait_until_landed(settings, 3)
        delete_topic(settings)
        assert ingestor.process.wait(60) == 1
    assert f"topic {settings.kafka.topic} was deleted" in (tmp_path / "log").read_text()
    assert landed_count(settings) == 5


def test_a_lake_lost_between_two_runs_is_landed_anew_from_what_kafka_has_and_says_so(one_partition: Settings) -> None:
    settings = with_kafka(one_partition, offset_reset="latest")
    send_bars(one_partition, range(5))
    with ingesting(one_partition):
        wait_until_landed(settings, 5)
    send_bars(settings, range(5, 20))
    settings.lake_path.rename(settings.data_dir / "lost")
    delete_records_before(settings, 3)
    with capture_logs() as lines, ingesting(settings):
        wait_until_landed(settings, 17)
    assert landed(settings)["offset"].to_pylist() == list(range(3, 20))
    (told,) = [line for line in lines if "the lake ends before" in line["event"]]
    assert (told["log_level"], told["committed_slot"], told["landed_from"]) == ("warning", 0, 3)


def test_a_lake_that_is_lost_under_a_running_ingestor_ends_it_and_the_next_one_lands_anew(
    one_partition: Settings, tmp_path: Path
) -> None:
    settings = one_partition
    sent = send_bars(settings, range(10))
    with IngestorProcess(settings, tmp_path / "log") as ingestor:
        wait_until_landed(settings, 10)
        settings.lake_path.rename(settings.data_dir / "lost")
        sent += send_bars(settings, range(10, 20))
        assert ingestor.process.wait(30) == 1
    text = (tmp_path / "log").read_text()
    assert "the lake was emptied under this ingestor" in text
    assert "Traceback" not in text
    with ingesting(settings):
        wait_until_landed(settings, 20)
    assert_landed_exactly(settings, sent)


@pytest.fixture
def storage(topic_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FaultyStorage:
    """What ingestors of this process land on."""
    storage = FaultyStorage(LocalStorage(topic_settings.lake_path))
    monkeypatch.setattr(ingestor, "open_storage", lambda settings: storage)
    return storage


def is_down(method: str) -> Fault:
    return Fault.BEFORE


def test_a_storage_that_is_down_or_fails_is_asked_again_and_nothing_is_lost(
    topic_settings: Settings, storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST_BACKOFF_SECONDS", 0.5)
    settings = quick(topic_settings, flush_rows=20)
    sent = send_bars(settings, range(200))
    storage.plan = is_down
    with capture_logs() as lines, ingesting(settings):
        wait_until(lambda: any(line["event"] == "waiting for the storage" for line in lines), "the ingestor says that it waits")
        assert not chains(settings)
        storage.plan = seeded_faults(1, 0.3)
        wait_until_landed(settings, 100)
        sent += send_bars(settings, range(200, 300))
        storage.plan = no_faults
        wait_until_landed(settings, 300)
    storage.settle()
    assert_landed_exactly(settings, sent)


def test_told_to_end_while_the_storage_is_down_it_ends_soon_and_what_it_held_is_read_again(
    topic_settings: Settings, storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestor, "LEAVE_SECONDS", 1.0)
    settings = quick(topic_settings, flush_rows=20, buffer_bytes=10_000)
    stop = threading.Event()
    running = threading.Thread(target=run_ingestor, args=(settings, stop))
    with capture_logs() as lines:
        running.start()
        wait_until(lambda: any(line["event"] == "partitions assigned" for line in lines), "partitions are assigned")
        storage.plan = is_down
        sent = send_bars(settings, range(1000))
        wait_until(lambda: any(line["event"] == "waiting for the storage" for line in lines), "landing fails")
        stop.set()
        running.join(END_SECONDS)
        assert not running.is_alive()
    assert any("messages read and not landed" in line["event"] for line in lines)
    storage.plan = no_faults
    with ingesting(settings):
        wait_until_landed(settings, 1000)
    assert_landed_exactly(settings, sent)
