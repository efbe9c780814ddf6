from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from storage_contract import StorageContract

from tickhouse.storage import StorageRefusedError, StorageUnavailableError
from tickhouse.storage.base import TEMPORARY
from tickhouse.storage.local import LocalStorage
from tickhouse.storage.probe import check_put_if_absent


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "not" / "there" / "yet")


def test_nothing_is_made_before_the_first_put(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "lake")
    assert not storage.exists("a")
    assert list(storage.list_after("")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_was_cut_off_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f"{TEMPORARY}left-by-a-killed-writer").write_bytes(b"half")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageUnavailableError, match="disk full"):
        storage.put_if_absent("a/b", b"data")
    assert list(storage.list_after("a")) == []
    assert not storage.exists("a/b")
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_an_object_is_on_disk_before_its_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    link, fsync = os.link, os.fsync
    monkeypatch.setattr(os, "link", lambda *arguments: (events.append("link"), link(*arguments)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (events.append(kind_of(descriptor)), fsync(descriptor)))
    storage = LocalStorage(tmp_path)
    storage.put_if_absent("new/a", b"")
    assert events == ["sync folder", "sync file", "link", "sync folder"]
    events.clear()
    storage.put_if_absent("new/a", b"")
    assert events[-1] == "sync folder"


def kind_of(descriptor: int) -> str:
    return "sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file"


class Overwriting(LocalStorage):
    """A store that ignores the condition, as old S3 stores do."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True


class SilentlyOverwriting(Overwriting):
    """One that says it refused, and overwrote."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        is_new = not self.exists(key)
        super().put_if_absent(key, data)
        return is_new


@pytest.mark.parametrize("kind", [Overwriting, SilentlyOverwriting])
def test_the_probe_refuses_a_store_that_overwrites(kind: type[LocalStorage], tmp_path: Path) -> None:
    with pytest.raises(StorageRefusedError, match="conditional writes"):
        check_put_if_absent(kind(tmp_path))


def test_the_probe_refuses_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file, not a folder")
    with pytest.raises(StorageRefusedError, match=r"cannot write to the lake at .*lake"):
        LocalStorage(tmp_path / "lake").probe()


def test_the_probe_refuses_a_place_where_no_folder_can_ever_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in /proc, which says ENOENT of a folder to be made."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageRefusedError, match=r"cannot write to the lake at .*lake.*no folder can be made"):
        LocalStorage(tmp_path / "lake").probe()


def test_a_uri_is_a_file_address(tmp_path: Path) -> None:
    assert LocalStorage(tmp_path).uri("landing/topic=a/1.parquet") == f"file://{tmp_path}/landing/topic%3Da/1.parquet"
