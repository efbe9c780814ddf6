"""The lake in a folder of this machine."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from tickhouse.storage.base import TEMPORARY, ObjectMissingError, StorageRefusedError, check_folder, check_key
from tickhouse.storage.disk import disk_errors_explained
from tickhouse.storage.probe import check_put_if_absent


class LocalStorage:
    """`Storage` on a POSIX file system that has hard links."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def uri(self, key: str) -> str:
        return self._path(key).as_uri()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with disk_errors_explained(path.as_uri()):
            _make_folder(path.parent)
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
        path = self._path(key)
        with disk_errors_explained(path.as_uri()):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise ObjectMissingError(path.as_uri()) from None

    def exists(self, key: str) -> bool:
        return self._is_object(self._path(key))

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        names = [name for name, is_folder in self._entries(folder) if not is_folder]
        return iter(sorted(name for name in names if name > after and not name.startswith(TEMPORARY)))

    def folders(self, folder: str) -> list[str]:
        return sorted(name for name, is_folder in self._entries(folder) if is_folder)

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not self._is_object(path):
            raise ObjectMissingError(path.as_uri())
        return path

    def delete(self, key: str) -> None:
        path = self._path(key)
        with disk_errors_explained(path.as_uri()):
            path.unlink(missing_ok=True)

    def probe(self) -> None:
        try:
            check_put_if_absent(self)
        except StorageRefusedError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            raise StorageRefusedError(f"cannot write to the lake at {self.root}, or it knows no hard links: {error}") from error

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _is_object(self, path: Path) -> bool:
        """Whether a file is there; a disk that fails to tell raises, where Path.is_file might say no."""
        with disk_errors_explained(path.as_uri()):
            try:
                return stat.S_ISREG(path.stat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        path = self.root / check_folder(folder)
        with disk_errors_explained(path.as_uri()):
            try:
                with os.scandir(path) as entries:
                    return [(entry.name, entry.is_dir()) for entry in entries]
            except (FileNotFoundError, NotADirectoryError):
                return []


def _make_folder(folder: Path) -> None:
    """Make the folder and its missing parents durable: a link in a folder that a crash forgets is no link."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        if not folder.parent.is_dir():  # taken away meanwhile: the next try makes it again
            raise
        raise StorageRefusedError(f"{folder.as_uri()}: no folder can be made there: {error.strerror}") from error
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
