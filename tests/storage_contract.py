"""What every storage promises; a test class of each kind inherits it and hands in its `storage`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tickhouse.storage import ObjectMissingError, Storage

NOT_KEYS = ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/.", "a/..", "..", "a/.tmp-b", ".tmp-a/b", "a\0b"]
NOT_FOLDERS = ["/", "/a", "a//", "..", "a/../b", "../a/"]


class StorageContract:
    def test_an_object_is_read_as_it_was_put(self, storage: Storage) -> None:
        data = bytes(range(256)) * 1000
        assert storage.put_if_absent("a/b/c.bin", data)
        assert storage.get("a/b/c.bin") == data
        assert storage.local_path("a/b/c.bin").read_bytes() == data
        assert storage.exists("a/b/c.bin")

    def test_an_empty_object_is_an_object(self, storage: Storage) -> None:
        assert storage.put_if_absent("empty", b"")
        assert storage.get("empty") == b""
        assert not storage.put_if_absent("empty", b"more")

    def test_a_taken_key_keeps_the_first_object(self, storage: Storage) -> None:
        assert storage.put_if_absent("a", b"first")
        assert not storage.put_if_absent("a", b"second")
        assert not storage.put_if_absent("a", b"first")
        assert storage.get("a") == b"first"

    def test_of_many_writers_of_one_key_exactly_one_wins(self, storage: Storage) -> None:
        with ThreadPoolExecutor(8) as pool:
            for round_ in range(5):
                key = f"race/{round_}"
                won = list(pool.map(lambda i, key=key: storage.put_if_absent(key, b"%d" % i), range(8)))  # type: ignore[misc]
                assert won.count(True) == 1
                assert storage.get(key) == b"%d" % won.index(True)

    def test_what_is_missing_says_so(self, storage: Storage) -> None:
        storage.put_if_absent("a/b", b"")
        for key in ("nothing", "a/c", "a", "a/b/c"):
            with pytest.raises(ObjectMissingError):
                storage.get(key)
            with pytest.raises(ObjectMissingError):
                storage.local_path(key)
            assert not storage.exists(key)
            storage.delete("nothing")

    def test_names_are_listed_in_order_after_a_name(self, storage: Storage) -> None:
        names = ["00000000000000000009.parquet", "00000000000000000010.parquet", "00000000000000000100.parquet", "_genesis.json"]
        for name in reversed(names):
            storage.put_if_absent(f"chain/{name}", b"")
        storage.put_if_absent("chain/deeper/00.parquet", b"")
        storage.put_if_absent("chainsaw", b"")
        assert list(storage.list_after("chain")) == names
        assert list(storage.list_after("chain/")) == names
        assert list(storage.list_after("chain", names[0])) == names[1:]
        assert list(storage.list_after("chain", "00000000000000000010")) == names[1:]
        assert list(storage.list_after("chain", names[-1])) == []
        assert list(storage.list_after("nowhere")) == []

    def test_more_names_than_one_answer_holds_are_all_listed(self, storage: Storage) -> None:
        names = [f"{number:020d}" for number in range(1, 31)]
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda name: storage.put_if_absent(f"many/{name}", b""), names))
        assert list(storage.list_after("many")) == names
        assert list(storage.list_after("many", names[9])) == names[10:]

    def test_folders_are_listed_in_order_without_objects(self, storage: Storage) -> None:
        for key in ("landing/topic=b/id=1/x", "landing/topic=a/id=2/x", "landing/topic=a/id=1/x", "landing/file", "top"):
            storage.put_if_absent(key, b"")
        assert storage.folders("landing") == ["topic=a", "topic=b"]
        assert storage.folders("landing/topic=a/") == ["id=1", "id=2"]
        assert "landing" in storage.folders("")
        assert "top" in list(storage.list_after(""))
        assert storage.folders("nowhere") == []

    def test_a_deleted_object_is_gone_and_its_key_free(self, storage: Storage) -> None:
        storage.put_if_absent("a/b", b"old")
        assert storage.local_path("a/b").read_bytes() == b"old"
        storage.delete("a/b")
        assert not storage.exists("a/b")
        with pytest.raises(ObjectMissingError):
            storage.local_path("a/b")
        assert storage.put_if_absent("a/b", b"new")
        assert storage.local_path("a/b").read_bytes() == b"new"

    def test_what_is_not_a_key_is_refused(self, storage: Storage) -> None:
        for key in NOT_KEYS:
            with pytest.raises(ValueError, match="not a storage key"):
                storage.put_if_absent(key, b"")
            for look in (storage.get, storage.exists, storage.local_path, storage.delete):
                with pytest.raises(ValueError, match="not a storage key"):
                    look(key)

    def test_what_is_not_a_folder_is_refused(self, storage: Storage) -> None:
        for folder in NOT_FOLDERS:
            with pytest.raises(ValueError, match="not a storage key"):
                list(storage.list_after(folder))
            with pytest.raises(ValueError, match="not a storage key"):
                storage.folders(folder)

    def test_a_storage_that_keeps_conditions_passes_the_probe_and_keeps_nothing_of_it(self, storage: Storage) -> None:
        storage.probe()
        storage.probe()
        assert list(storage.list_after("_probe")) == []

    def test_the_local_file_stays_where_it_was(self, storage: Storage) -> None:
        storage.put_if_absent("a", b"1")
        path: Path = storage.local_path("a")
        assert path.is_absolute()
        assert storage.local_path("a") == path
