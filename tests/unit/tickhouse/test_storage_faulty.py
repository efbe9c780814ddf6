"""The faulty double is a storage: who asks again gets what the storage beneath would have answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_storage import Fault, FaultyStorage, PatientStorage, seeded_faults
from storage_contract import StorageContract

from tickhouse.storage import Storage, StorageUnavailableError
from tickhouse.storage.local import LocalStorage


class TestFaultyStorage(StorageContract):
    @pytest.fixture(params=range(3))
    def storage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
        any_fault, no_effect = seeded_faults(request.param, 0.4), seeded_faults(request.param, 0.4, kinds=(Fault.BEFORE,))

        def plan(method: str) -> Fault | None:
            return no_effect(method) if method in ("put_if_absent", "delete") else any_fault(method)

        return PatientStorage(FaultyStorage(LocalStorage(tmp_path / "lake"), plan))


def test_a_fault_happens_before_the_effect_after_it_or_the_effect_comes_late(tmp_path: Path) -> None:
    below = LocalStorage(tmp_path)
    faults = dict(zip("abc", Fault, strict=True))
    storage = FaultyStorage(below)
    for key, fault in faults.items():
        storage.plan = lambda method, fault=fault: fault  # type: ignore[misc]
        with pytest.raises(StorageUnavailableError, match=f"^{key}: {fault.value}"):
            storage.put_if_absent(key, b"data")
    assert [below.exists(key) for key in faults] == [False, True, False]
    storage.settle()
    assert [below.exists(key) for key in faults] == [False, True, True]


def test_a_listing_that_breaks_off_says_so(tmp_path: Path) -> None:
    below = LocalStorage(tmp_path)
    for key in "abcd":
        below.put_if_absent(key, b"")
    names = FaultyStorage(below, lambda method: Fault.AFTER).list_after("")
    assert [next(names), next(names)] == ["a", "b"]
    with pytest.raises(StorageUnavailableError, match="breaks off"):
        next(names)
