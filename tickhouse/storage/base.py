"""What every part may ask of the lake's storage: immutable objects under string keys, created if absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

TEMPORARY = ".tmp-"
"""Names that begin so are writes in progress, or what a killed writer left: never listed, never read."""


class ObjectMissingError(KeyError):
    """No object has this key."""


class StorageRefusedError(RuntimeError):
    """The storage will not do this however often it is asked: forbidden, misconfigured, or no conditional writes.

    Somebody must decide. The message names the object and the cause.
    """


class StorageUnavailableError(OSError):
    """The storage did not do this now, and may later: no answer, overloaded, out of order, or a disk that is full.

    A write that fails so may have been stored or not. The message names the object and the cause.
    """


class Storage(Protocol):
    """Objects are written once and never changed. Keys are names joined by `/`, folders likewise; "" is the top folder.

    Every method raises ValueError for what is not a key (`check_key`), StorageUnavailableError for a failure that
    may pass, and StorageRefusedError for one that will not.
    """

    def uri(self, key: str) -> str:
        """The object's address for people and other engines (`file://…`, `s3://…`)."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store `data` durably under `key` unless the key is taken; say whether this call stored it.

        After True the whole object is durable; after False another's is. A key never shows part of an object.
        When it raises, the object may have been stored or not: read the key to know.
        """

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises ObjectMissingError."""

    def exists(self, key: str) -> bool:
        """Whether the key is taken."""

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        """Names of the objects directly in `folder`, in order, that sort after the name `after`."""

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in `folder`, in order."""

    def local_path(self, key: str) -> Path:
        """A local file with the object's bytes: the object itself, or a copy kept because objects never change.

        Raises ObjectMissingError.
        """

    def delete(self, key: str) -> None:
        """Remove the object; one that is gone already is no error."""

    def probe(self) -> None:
        """Write twice under one new key. Raises StorageRefusedError unless the second write is refused."""


def check_key(key: str) -> str:
    """The key itself. Raises ValueError when it could leave the lake, or would not be listed."""
    if any(name in ("", ".", "..") or name.startswith(TEMPORARY) or "\0" in name for name in key.split("/")):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def check_folder(folder: str) -> str:
    """The folder without a trailing slash, "" for the top one. Raises ValueError as `check_key` does."""
    return check_key(folder.removesuffix("/")) if folder else ""
