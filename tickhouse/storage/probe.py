"""The start-up check that a storage honours put-if-absent: old S3 stores overwrite in silence."""

from __future__ import annotations

import uuid

from tickhouse.storage.base import Storage, StorageRefusedError


def check_put_if_absent(storage: Storage) -> None:
    """Raise StorageRefusedError unless the second of two conditional writes under one key fails."""
    key = f"_probe/{uuid.uuid4().hex}"
    first = storage.put_if_absent(key, b"first")
    second = storage.put_if_absent(key, b"second")
    found = storage.get(key)
    storage.delete(key)
    if not first or second or found != b"first":
        raise StorageRefusedError(
            f"{storage.uri(key)}: the store ignores conditional writes, so two ingestors could overwrite each other. "
            "Use a file system with hard links, or an S3 store that supports If-None-Match."
        )
