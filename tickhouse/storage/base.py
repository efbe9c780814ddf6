"""What every part may ask of the lake's storage: immutable objects under string keys, created if absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class ObjectMissingError(KeyError):
    """No object has this key."""


class StorageRefusedError(RuntimeError):
    """The storage cannot be used: it is out of reach, forbidden, or ignores conditional writes."""


class Storage(Protocol):
    """Objects are written once and never changed. Keys use `/`; a folder is a key that ends in `/`."""

    def uri(self, key: str) -> str:
        """The object's address for people and other engines (`file://…`, `s3://…`)."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store `data` durably under `key` unless the key is taken; say whether this call stored it.

        After True the whole object is durable; after False another's is. A key never shows part of an object.
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
