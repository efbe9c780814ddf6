"""The lake in a folder of this machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from tickhouse.storage.base import TEMPORARY, ObjectMissingError, StorageRefusedError, check_folder, check_key
from tickhouse.storage.probe import check_put_if_absent


class LocalStorage:
    """`Storage` on a POSIX file system that has hard links."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def uri(self, key: str) -> str:
        return self._path(key).as_uri()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        self._make_folder(path.parent)
        temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)  # never rename: it would overwrite a slot another writer has won
                stored = True
            except FileExistsError:
                stored = False
            _sync_folder(path.parent)  # of a taken key too: its writer may not have come to this yet
            return stored
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectMissingError(self.uri(key)) from None

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        names = [name for name, is_folder in self._entries(folder) if not is_folder]
        return iter(sorted(name for name in names if name > after and not name.startswith(TEMPORARY)))

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
            raise StorageRefusedError(f"cannot write to the lake at {self.root}, or it knows no hard links: {error}") from error

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        try:
            with os.scandir(self.root / check_folder(folder)) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
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
