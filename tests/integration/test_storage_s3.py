from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from s3_server import CREDENTIALS, empty_bucket, make_bucket, s3_server
from storage_contract import StorageContract

from tickhouse.settings import Settings, StorageSettings
from tickhouse.storage import ObjectMissingError, StorageRefusedError, open_storage
from tickhouse.storage.s3 import S3Storage


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(server: str) -> str:
    name = f"bars-{uuid.uuid4().hex[:8]}"
    make_bucket(server, name)
    return name


@pytest.fixture(params=["the/lake", ""], ids=["a folder of a bucket", "a whole bucket"])
def prefix(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def storage(server: str, bucket: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    """A lake whose listings come in pages of seven."""
    storage = S3Storage(bucket, prefix, tmp_path / "cache", endpoint_url=server)
    monkeypatch.setattr(storage, "_pages", partial(storage._pages, PaginationConfig={"PageSize": 7}))
    return storage


class TestS3Storage(StorageContract):
    pass


def test_settings_choose_the_bucket_and_the_folder_in_it(settings: Settings, server: str, bucket: str) -> None:
    chosen = StorageSettings(kind="s3", bucket=bucket, prefix="/a/lake/", endpoint_url=server, region="us-east-1")
    storage = open_storage(settings.model_copy(update={"storage": chosen}))
    assert storage.uri("landing/1.parquet") == f"s3://{bucket}/a/lake/landing/1.parquet"
    storage.put_if_absent("landing/1.parquet", b"x")
    assert S3Storage(bucket, "", settings.cache_path, endpoint_url=server).get("a/lake/landing/1.parquet") == b"x"
    assert storage.local_path("landing/1.parquet").is_relative_to(settings.cache_path)


def test_lakes_of_one_bucket_do_not_see_each_other(server: str, bucket: str, tmp_path: Path) -> None:
    one, two = (S3Storage(bucket, prefix, tmp_path, endpoint_url=server) for prefix in ("a", "ab"))
    one.put_if_absent("x", b"one")
    two.put_if_absent("x", b"two")
    assert (one.local_path("x").read_bytes(), two.local_path("x").read_bytes()) == (b"one", b"two")
    assert "x" in list(one.list_after(""))


def test_a_local_copy_spares_the_second_download(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put_if_absent("a", b"data")
    storage.local_path("a")
    monkeypatch.setattr(storage, "get", lambda key: pytest.fail(f"{key} was downloaded again"))
    assert storage.local_path("a").read_bytes() == b"data"


def test_copies_of_a_lake_that_was_lost_are_not_taken_for_its_successor(server: str, bucket: str, tmp_path: Path) -> None:
    """The bucket is emptied and landed anew under the same names; this machine's cache stays."""
    old = S3Storage(bucket, "", tmp_path / "cache", endpoint_url=server)
    old.put_if_absent("landing/0.parquet", b"old")
    assert old.local_path("landing/0.parquet").read_bytes() == b"old"
    empty_bucket(server, bucket)
    new = S3Storage(bucket, "", tmp_path / "cache", endpoint_url=server)
    with pytest.raises(ObjectMissingError):
        new.local_path("landing/0.parquet")
    new.put_if_absent("landing/0.parquet", b"new")
    assert new.local_path("landing/0.parquet").read_bytes() == b"new"


def test_a_put_whose_answer_was_lost_is_known_for_its_own(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends the request again by itself, and the second is refused because of the first."""
    send = storage._client.put_object

    def send_twice(**request: Any) -> Any:
        send(**request)
        return send(**request)

    monkeypatch.setattr(storage._client, "put_object", send_twice)
    assert storage.put_if_absent("a", b"same")
    assert not storage.put_if_absent("a", b"same")


def test_a_put_that_meets_another_in_flight_tries_again(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    send, answers = storage._client.put_object, iter(["ConditionalRequestConflict", "409"])

    def conflict_twice(**request: Any) -> Any:
        code = next(answers, None)
        if code is not None:
            raise botocore.exceptions.ClientError({"Error": {"Code": code}}, "PutObject")
        return send(**request)

    monkeypatch.setattr(storage._client, "put_object", conflict_twice)
    assert storage.put_if_absent("a", b"x")
    assert next(answers, None) is None


def test_the_probe_refuses_a_store_that_ignores_the_condition(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    send = storage._client.put_object
    monkeypatch.setattr(storage._client, "put_object", lambda IfNoneMatch, **request: send(**request))
    with pytest.raises(StorageRefusedError, match="conditional writes"):
        storage.probe()


def test_the_probe_refuses_a_bucket_that_is_not_there(server: str, tmp_path: Path) -> None:
    with pytest.raises(StorageRefusedError, match=r"s3://no-such-bucket/.*NoSuchBucket"):
        S3Storage("no-such-bucket", "", tmp_path, endpoint_url=server).probe()


def test_the_probe_refuses_without_credentials(server: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(StorageRefusedError, match="credentials"):
        S3Storage(bucket, "", tmp_path, endpoint_url=server).probe()


@pytest.mark.parametrize("prefix", ["../other", "a//b", "a/../b"])
def test_a_prefix_that_leaves_its_place_is_refused(prefix: str, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        S3Storage(bucket, prefix, tmp_path)
