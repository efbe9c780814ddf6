"""A lake in memory, whose every state is a value: for tests that look at many of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tickhouse.storage import ObjectMissingError
from tickhouse.storage.base import check_folder, check_key


class MemoryStorage:
    """`Storage` in a dictionary. What has to be a file becomes one in `files`, named by its contents."""

    def __init__(self, files: Path, objects: Mapping[str, bytes] | None = None) -> None:
        self.files = files
        self.objects = dict(objects or {})

    def uri(self, key: str) -> str:
        return f"memory:///{check_key(key)}"

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if check_key(key) in self.objects:
            return False
        self.objects[key] = data
        return True

    def get(self, key: str) -> bytes:
        try:
            return self.objects[check_key(key)]
        except KeyError:
            raise ObjectMissingError(self.uri(key)) from None

    def exists(self, key: str) -> bool:
        return check_key(key) in self.objects

    def list_after(self, folder: str, after: str = "") -> Iterator[str]:
        return iter([name for name, is_folder in self._entries(folder) if not is_folder and name > after])

    def folders(self, folder: str) -> list[str]:
        return [name for name, is_folder in self._entries(folder) if is_folder]

    def local_path(self, key: str) -> Path:
        data = self.get(key)
        path = self.files / hashlib.sha256(data).hexdigest()
        if not path.exists():
            path.write_bytes(data)
        return path

    def delete(self, key: str) -> None:
        self.objects.pop(check_key(key), None)

    def probe(self) -> None:
        """A dictionary keeps its conditions."""

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        start = f"{name}/" if (name := check_folder(folder)) else ""
        rests = (key[len(start) :].partition("/") for key in self.objects if key.startswith(start))
        return sorted({(name, bool(slash)) for name, slash, _rest in rests})


class Killed(BaseException):
    """The process is gone."""


class MortalStorage(MemoryStorage):
    """Dies at the puts and deletes whose numbers are in `deaths`: before it does them, or after."""

    deaths: dict[int, str]
    count = 0

    def _do(self, act: Any, *arguments: Any) -> Any:
        self.count += 1
        death = self.deaths.get(self.count)
        if death == "before":
            raise Killed
        result = act(*arguments)
        if death == "after":
            raise Killed
        return result

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._do(super().put_if_absent, key, data)

    def delete(self, key: str) -> None:
        self._do(super().delete, key)
