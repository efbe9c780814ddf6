"""An ingestor's clean life: it ends when told to, and what it meets is told in a line, with the right way out."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from ingesting import (
    IngestorProcess,
    Sender,
    assert_gapless,
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
)
from kafka_admin import delete_records_before
from s3_server import CREDENTIALS, s3_server

from tickhouse.settings import Settings, StorageSettings

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


def test_a_lake_lost_between_two_runs_is_landed_anew_from_what_kafka_has(one_partition: Settings) -> None:
    settings = one_partition
    send_bars(settings, range(20))
    with ingesting(settings):
        wait_until_landed(settings, 20)
    settings.lake_path.rename(settings.data_dir / "lost")
    delete_records_before(settings, 5)
    with ingesting(settings):
        wait_until_landed(settings, 15)
    assert landed(settings)["offset"].to_pylist() == list(range(5, 20))
