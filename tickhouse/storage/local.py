"""The lake in a folder of this machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from tickhouse.storage.base import ObjectMissingError, StorageRefusedError
from tickhouse.storage.probe import check_put_if_absent

_TEMPORARY = ".tmp-"
"""Names that begin so are writes in progress, or what a killed writer left: never listed, never read."""


class LocalStorage:
    """`Storage` on a POSIX file system that has hard links."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def uri(self, key: str) -> str:
        return self._path(key).as_uri()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        self._make_folder(path.parent)
        temporary = path.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)  # never rename: it would overwrite a slot another writer has won
            except FileExistsError:
                return False
            _sync_folder(path.parent)
            return True
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectMissingError(self.uri(key)) from None

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        names = [name for name, is_folder in self._entries(folder) if not is_folder]
        return iter(sorted(name for name in names if name > after and not name.startswith(_TEMPORARY)))

    def folders(self, folder: str) -> list[str]:
        return sorted(name for name, is_folder in self._entries(folder) if is_folder)

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise ObjectMissingError(self.uri(key))
        return path

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def probe(self) -> None:
        try:
            check_put_if_absent(self)
        except OSError as error:
            raise StorageRefusedError(f"cannot write to the lake at {self.root}: {error}") from error

    def _path(self, key: str) -> Path:
        parts = key.rstrip("/").split("/") if key else []
        if key.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"not a storage key: {key!r}")
        return self.root.joinpath(*parts)

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        try:
            with os.scandir(self._path(folder)) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries]
        except FileNotFoundError:
            return []

    def _make_folder(self, folder: Path) -> None:
        """Make the folder and its missing parents durable: a link in a folder that a crash forgets is no link."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
