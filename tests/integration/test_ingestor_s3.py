"""The ingestor on a lake in an S3 bucket."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ingesting import (
    IngestorProcess,
    Sender,
    assert_landed_exactly,
    dead_letters,
    ingesting,
    quick,
    send_bars,
    wait_until_landed,
    with_kafka,
)
from s3_server import CREDENTIALS, empty_bucket, make_bucket, s3_server

from tickhouse.settings import Settings, StorageSettings
from tickhouse.storage import open_storage


@pytest.fixture
def bucket_settings(topic_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a lake in a bucket of its own."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as address:
        bucket = f"bars-{uuid.uuid4().hex[:8]}"
        make_bucket(address, bucket)
        storage = StorageSettings(kind="s3", bucket=bucket, prefix="lake", endpoint_url=address)
        yield topic_settings.model_copy(update={"storage": storage})


def test_what_is_produced_is_landed_exactly_in_the_bucket(bucket_settings: Settings) -> None:
    sent = send_bars(bucket_settings, range(500))
    sender = Sender(bucket_settings)
    sender.send(b"poison", b"AAPL")
    sender.flush()
    with ingesting(bucket_settings):
        wait_until_landed(bucket_settings, 501)
    with ingesting(bucket_settings):
        sent += send_bars(bucket_settings, range(500, 600))
        wait_until_landed(bucket_settings, 601)
    assert_landed_exactly(bucket_settings, sent)
    assert [letter["value"] for letter in dead_letters(bucket_settings)] == [b"poison"]
    assert open_storage(bucket_settings).uri("landing") == f"s3://{bucket_settings.storage.bucket}/lake/landing"
    assert not bucket_settings.lake_path.exists()


def test_a_killed_ingestor_and_two_groups_land_each_message_once_in_the_bucket(bucket_settings: Settings, tmp_path: Path) -> None:
    settings = quick(bucket_settings, flush_rows=20)
    sent = send_bars(settings, range(400))
    with IngestorProcess(settings, tmp_path / "log", CREDENTIALS) as ingestor:
        wait_until_landed(settings, 40)
        ingestor.kill()
    sent += send_bars(settings, range(400, 500))
    groups = [with_kafka(settings, group=f"{settings.kafka.group}-{number}") for number in range(2)]
    with ingesting(groups[0]), ingesting(groups[1]):
        wait_until_landed(settings, 500)
    assert_landed_exactly(settings, sent)


def test_a_bucket_that_was_emptied_is_landed_anew_beside_a_cache_of_the_old_one(bucket_settings: Settings) -> None:
    sent = send_bars(bucket_settings, range(50))
    with ingesting(quick(bucket_settings, flush_rows=10)):
        wait_until_landed(bucket_settings, 50)
    storage = bucket_settings.storage
    assert storage.endpoint_url is not None and storage.bucket is not None
    empty_bucket(storage.endpoint_url, storage.bucket)
    with ingesting(bucket_settings):
        wait_until_landed(bucket_settings, 50)
    assert_landed_exactly(bucket_settings, sent)
