"""Which failures of a storage may pass and which somebody must see to; each says where and why."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from tickhouse.storage import ObjectMissingError, StorageRefusedError, StorageUnavailableError
from tickhouse.storage.local import LocalStorage
from tickhouse.storage.s3_failure import failure_of

URI = "s3://bars/lake/landing/1.parquet"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *[("InternalError", 500), ("500", 500), ("502", 502), ("ServiceUnavailable", 503), ("SlowDown", 503), ("504", 504)],
        *[("RequestTimeout", 400), ("TooManyRequests", 429), ("429", 429), ("OperationAborted", 409)],
    ],
)
def test_an_answer_that_says_later_is_unavailable(code: str, status: int) -> None:
    failure = failure_of(answer(code, status), URI)
    assert isinstance(failure, StorageUnavailableError)
    assert str(failure).startswith(URI)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *[
            ("AccessDenied", 403),
            ("403", 403),
            ("InvalidAccessKeyId", 403),
            ("SignatureDoesNotMatch", 403),
            ("ExpiredToken", 400),
        ],
        *[("NoSuchBucket", 404), ("PermanentRedirect", 301), ("RequestTimeTooSkewed", 403), ("NotImplemented", 501)],
    ],
)
def test_an_answer_that_will_be_the_same_tomorrow_is_refused(code: str, status: int) -> None:
    failure = failure_of(answer(code, status), URI)
    assert isinstance(failure, StorageRefusedError)
    assert URI in str(failure) and code in str(failure)


def test_a_bucket_that_is_missing_is_told_as_the_setting_it_is() -> None:
    assert str(failure_of(answer("NoSuchBucket", 404), URI)).startswith(
        "storage.bucket names a bucket that does not exist: make it"
    )


@pytest.mark.parametrize("code", ["NoSuchKey", "404"])
def test_a_key_that_is_missing_is_no_failure_of_the_store(code: str) -> None:
    assert isinstance(failure_of(answer(code, 404), URI), ObjectMissingError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EndpointConnectionError(endpoint_url=URI, error="Connection refused"), StorageUnavailableError),
        (ConnectTimeoutError(endpoint_url=URI), StorageUnavailableError),
        (ReadTimeoutError(endpoint_url=URI), StorageUnavailableError),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), StorageUnavailableError),
        (SSLError(endpoint_url=URI, error="CERTIFICATE_VERIFY_FAILED"), StorageRefusedError),
        (NoCredentialsError(), StorageRefusedError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_no_answer_is_unavailable_and_no_right_to_ask_is_refused(error: BotoCoreError, kind: type[Exception]) -> None:
    failure = failure_of(error, URI)
    assert type(failure) is kind
    assert str(failure) == f"{URI}: {error}"


def answer(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_disk_that_is_full_or_out_of_order_is_unavailable(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    monkeypatch.setattr(os, "fsync", failing_with(number))
    with pytest.raises(StorageUnavailableError, match=rf"^file://.*/a/b: .*{os.strerror(number)}"):
        storage.put_if_absent("a/b", b"data")
    monkeypatch.undo()
    assert storage.put_if_absent("a/b", b"data")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK])
def test_a_disk_that_forbids_or_knows_no_links_is_refused(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    monkeypatch.setattr(os, "link", failing_with(number))
    with pytest.raises(StorageRefusedError, match=rf"^file://.*/a/b: .*{os.strerror(number)}"):
        storage.put_if_absent("a/b", b"data")
    with pytest.raises(StorageRefusedError, match=rf"cannot write to the lake at {tmp_path}, or it knows no hard links"):
        storage.probe()


@pytest.mark.parametrize("look", ["exists", "get", "local_path"])
def test_a_disk_that_cannot_tell_is_not_taken_for_an_empty_one(
    look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a chain would seem to end before its end."""
    storage = LocalStorage(tmp_path)
    storage.put_if_absent("a/b", b"data")
    monkeypatch.setattr(Path, "stat", failing_with(errno.EIO))
    monkeypatch.setattr(Path, "read_bytes", failing_with(errno.EIO))
    with pytest.raises(StorageUnavailableError, match=r"a/b: .*Input/output error"):
        getattr(storage, look)("a/b")


def failing_with(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail
