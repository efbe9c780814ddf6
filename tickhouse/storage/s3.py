"""The lake in an S3 bucket: conditional puts, and local copies of objects that never change."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tickhouse.storage.base import TEMPORARY, ObjectMissingError, StorageUnavailableError, check_folder, check_key
from tickhouse.storage.disk import disk_errors_explained
from tickhouse.storage.probe import check_put_if_absent
from tickhouse.storage.s3_failure import InFlightError, TakenError, failure_of

_IDENTITY = "_lake"
_ATTEMPTS = 6
# A store that never answers keeps its caller for about a minute: so long a stop can take, and no longer.
_CLIENT = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5})


class S3Storage:
    """`Storage` on an S3 bucket. Credentials come from the AWS client's own chain, never from settings.

    Local copies lie under the lake's own random identity, which is its first object: a bucket that was emptied
    and filled anew, or another endpoint's bucket of the same name, never meets copies of its predecessor.
    Whatever the AWS client fails with, after its own retries, is raised as StorageUnavailableError where it may
    pass (no answer, 5xx, throttling) and as StorageRefusedError where it will not.
    """

    def __init__(
        self, bucket: str, prefix: str, cache: Path, *, region: str | None = None, endpoint_url: str | None = None
    ) -> None:
        self._bucket = bucket
        self._prefix = check_folder(prefix.strip("/")) + "/" if prefix.strip("/") else ""
        self._cache = cache
        self._copies: Path | None = None
        self._identifying = threading.Lock()
        with self._explained(""):
            self._client: Any = boto3.Session().client("s3", region_name=region, endpoint_url=endpoint_url, config=_CLIENT)

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def put_if_absent(self, key: str, data: bytes) -> bool:
        writer = uuid.uuid4().hex
        for attempt in range(_ATTEMPTS):
            try:
                with self._explained(key):
                    self._client.put_object(**self._address(key), Body=data, IfNoneMatch="*", Metadata={"put": writer})
                    return True
            except TakenError:
                return self._is_written_by(key, writer)
            except InFlightError:
                time.sleep(0.05 * 2**attempt)
        raise StorageUnavailableError(f"{self.uri(key)}: another write of this object was in flight, {_ATTEMPTS} times in a row")

    def get(self, key: str) -> bytes:
        with self._explained(key):
            return self._client.get_object(**self._address(key))["Body"].read()

    def exists(self, key: str) -> bool:
        try:
            with self._explained(key):
                self._client.head_object(**self._address(key))
        except ObjectMissingError:
            return False
        return True

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        start = self._folder(folder)
        with self._explained(folder):
            for page in self._pages(start, StartAfter=start + after):
                names = (item["Key"][len(start) :] for item in page.get("Contents", ()))
                yield from (name for name in names if name > after and not name.startswith(TEMPORARY))

    def folders(self, folder: str) -> list[str]:
        start = self._folder(folder)
        with self._explained(folder):
            return [item["Prefix"][len(start) : -1] for page in self._pages(start) for item in page.get("CommonPrefixes", ())]

    def local_path(self, key: str) -> Path:
        copy = self._copy(key)
        if not copy.is_file():
            _write_copy(copy, self.get(key))
        return copy

    def delete(self, key: str) -> None:
        with self._explained(key):
            self._client.delete_object(**self._address(key))
        self._copy(key).unlink(missing_ok=True)

    def probe(self) -> None:
        check_put_if_absent(self)

    def _address(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}

    def _folder(self, folder: str) -> str:
        name = check_folder(folder)
        return f"{self._prefix}{name}/" if name else self._prefix

    def _pages(self, start: str, **more: Any) -> Iterator[dict[str, Any]]:
        return self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start, Delimiter="/", **more)

    def _copy(self, key: str) -> Path:
        with self._identifying:
            if self._copies is None:
                self._copies = self._cache / self._identity()
        return self._copies / check_key(key)

    def _identity(self) -> str:
        try:
            return self.get(_IDENTITY).decode()
        except ObjectMissingError:
            self.put_if_absent(_IDENTITY, uuid.uuid4().hex.encode())
        return self.get(_IDENTITY).decode()

    def _is_written_by(self, key: str, writer: str) -> bool:
        """Whether a key found taken is our own, of a try whose answer was lost and which the client repeated."""
        try:
            with self._explained(key):
                found = self._client.head_object(**self._address(key))
        except ObjectMissingError:
            return False
        return found["Metadata"].get("put") == writer

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise failure_of(error, self.uri(key)) from error


def _write_copy(copy: Path, data: bytes) -> None:
    with disk_errors_explained(copy.as_uri()):
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary = copy.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            temporary.write_bytes(data)
            os.replace(temporary, copy)
        finally:
            temporary.unlink(missing_ok=True)
