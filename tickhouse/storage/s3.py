"""The lake in an S3 bucket: conditional puts, and local copies of objects that never change."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tickhouse.storage.base import ObjectMissingError, StorageRefusedError
from tickhouse.storage.probe import check_put_if_absent

_TAKEN = "PreconditionFailed"
_IN_FLIGHT = "ConditionalRequestConflict"
_MISSING = ("NoSuchKey", "404", "NotFound")


class S3Storage:
    """`Storage` on an S3 bucket. Credentials come from the AWS client's own chain, never from settings."""

    def __init__(self, bucket: str, prefix: str, cache: Path, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        import boto3
        from botocore.config import Config

        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._cache = cache
        retries = Config(retries={"mode": "standard", "total_max_attempts": 5})
        self._client: Any = boto3.client("s3", region_name=region, endpoint_url=endpoint_url, config=retries)

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def put_if_absent(self, key: str, data: bytes) -> bool:
        while True:
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code in (_TAKEN, "412"):
                    return False
                if code in (_IN_FLIGHT, "409"):
                    continue
                raise
            return True

    def get(self, key: str) -> bytes:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()
        except self._client.exceptions.ClientError as error:
            raise self._missing(key, error) from None

    def exists(self, key: str) -> bool:
        try:
            self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        start = self._prefix + _as_folder(folder)
        for page in self._pages(start, StartAfter=start + after):
            for item in page.get("Contents", ()):
                yield item["Key"][len(start) :]

    def folders(self, folder: str) -> list[str]:
        start = self._prefix + _as_folder(folder)
        return [item["Prefix"][len(start) : -1] for page in self._pages(start) for item in page.get("CommonPrefixes", ())]

    def local_path(self, key: str) -> Path:
        copy = self._cache / self._bucket / (self._prefix + key)
        if not copy.is_file():
            data = self.get(key)
            copy.parent.mkdir(parents=True, exist_ok=True)
            temporary = copy.with_name(f".tmp-{uuid.uuid4().hex}")
            temporary.write_bytes(data)
            os.replace(temporary, copy)
        return copy

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def probe(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            check_put_if_absent(self)
        except (BotoCoreError, ClientError) as error:
            raise StorageRefusedError(f"cannot use the bucket {self._bucket}: {error}") from error

    def _pages(self, start: str, **more: str) -> Iterator[dict[str, Any]]:
        return self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start, Delimiter="/", **more)

    def _missing(self, key: str, error: Any) -> Exception:
        return ObjectMissingError(self.uri(key)) if error.response["Error"]["Code"] in _MISSING else error


def _as_folder(folder: str) -> str:
    return folder.rstrip("/") + "/" if folder else ""
