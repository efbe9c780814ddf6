"""The lake on S3 through 500, 503, timeouts, cut answers and answers that are lost, beneath the client's own retries."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from faulty_wire import (
    PASSING,
    WireFault,
    answers,
    answers_500_afterwards,
    connects_too_slowly,
    cuts_the_body,
    faulty_wire,
    loses_the_answer,
    refuses_connections,
    strips_the_condition,
)
from s3_server import CREDENTIALS, make_bucket, s3_server
from storage_contract import StorageContract

from tickhouse.storage import StorageRefusedError, StorageUnavailableError
from tickhouse.storage.s3 import S3Storage

TRIES = 5
AFTER_THE_EFFECT = [loses_the_answer, answers_500_afterwards]


def name_of(fault: WireFault) -> str:
    return fault.__name__


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def storage(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    """A lake of its own, whose listings come in pages of seven, and whose client does not pause between its tries."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for module in ("botocore.endpoint", "tickhouse.storage.s3"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=lambda seconds: None))
    bucket = f"bars-{uuid.uuid4().hex[:8]}"
    make_bucket(server, bucket)
    storage = S3Storage(bucket, "lake", tmp_path / "cache", endpoint_url=server)
    monkeypatch.setattr(storage, "_pages", partial(storage._pages, PaginationConfig={"PageSize": 7}))
    return storage


def anything(seed: int) -> Iterator[WireFault | None]:
    """Faults that pass: never as many in a row as the client tries."""
    chance, lock, row = random.Random(seed), threading.Lock(), 0
    while True:
        with lock:
            row = 0 if row == 1 or chance.random() > 0.3 else row + 1
            fault = chance.choice(PASSING) if row else None
        yield fault


class TestS3StorageOnAFaultyWire(StorageContract):
    @pytest.fixture
    def storage(self, storage: S3Storage) -> Iterator[S3Storage]:
        with faulty_wire(storage._client, anything(seed=1)):
            yield storage


def test_a_put_is_won_through_any_fault_that_passes(storage: S3Storage) -> None:
    for fault in PASSING:
        with faulty_wire(storage._client, [fault, fault], "PutObject") as met:
            assert storage.put_if_absent(fault.__name__, b"mine")
        assert len(met) == 3
        assert storage.get(fault.__name__) == b"mine"


def test_a_put_of_a_taken_key_is_lost_through_any_fault_that_passes(storage: S3Storage) -> None:
    storage.put_if_absent("a", b"theirs")
    for fault in PASSING:
        with faulty_wire(storage._client, [fault, fault]):
            assert not storage.put_if_absent("a", b"theirs")
    assert storage.get("a") == b"theirs"


@pytest.mark.parametrize("fault", AFTER_THE_EFFECT, ids=name_of)
def test_a_put_that_is_refused_because_of_itself_was_won(fault: WireFault, storage: S3Storage) -> None:
    """The answer to the first is lost, the client puts again, and the store says 412: it is our own that is there."""
    with faulty_wire(storage._client, [fault]) as met:
        assert storage.put_if_absent("a", b"mine")
    assert met == ["PutObject", "PutObject", "HeadObject"]


def test_a_put_whose_own_look_fails_may_have_won_and_says_it_does_not_know(storage: S3Storage) -> None:
    with (
        faulty_wire(storage._client, [loses_the_answer, None, *[answers(503)] * TRIES]),
        pytest.raises(StorageUnavailableError, match=r"s3://bars-.*/lake/a: .*SlowDown"),
    ):
        storage.put_if_absent("a", b"mine")
    assert not storage.put_if_absent("a", b"mine")
    assert storage.get("a") == b"mine"


def test_a_store_that_goes_on_failing_is_unavailable(storage: S3Storage) -> None:
    for fault in set(PASSING) - set(AFTER_THE_EFFECT):
        with (
            faulty_wire(storage._client, [fault] * TRIES) as met,
            pytest.raises(StorageUnavailableError, match=r"^s3://bars-.*/lake/a: "),
        ):
            storage.put_if_absent("a", b"mine")
        assert met == ["PutObject"] * TRIES
    assert storage.put_if_absent("a", b"mine")


def test_a_put_that_meets_another_in_flight_tries_again_and_gives_up_in_the_end(storage: S3Storage) -> None:
    with faulty_wire(storage._client, [answers(409)] * 3):
        assert storage.put_if_absent("a", b"mine")
    with faulty_wire(storage._client, [answers(409)] * 3):
        assert not storage.put_if_absent("a", b"second")
    with faulty_wire(storage._client, [answers(409)] * 100), pytest.raises(StorageUnavailableError, match="in flight"):
        storage.put_if_absent("b", b"mine")


def test_reading_and_deleting_come_through_any_fault_that_passes(storage: S3Storage) -> None:
    for fault in PASSING:
        storage.put_if_absent("f/a", b"data")
        for call in (
            lambda: storage.get("f/a") == b"data",
            lambda: storage.exists("f/a"),
            lambda: not storage.exists("f/b"),
            lambda: storage.folders("") == ["f"],
            lambda: storage.delete("f/a") is None and not storage.exists("f/a"),
        ):
            with faulty_wire(storage._client, [fault, fault]) as met:
                assert call()
            assert len(met) >= 3


def test_a_listing_is_whole_or_fails_on_whichever_page(storage: S3Storage) -> None:
    names = [f"{number:03}" for number in range(20)]
    for name in names:
        storage.put_if_absent(f"many/{name}", b"")
    with faulty_wire(storage._client, [None, answers(500), loses_the_answer, None, answers(503)]):
        assert list(storage.list_after("many")) == names
    for page in range(3):
        faults = [*[None] * page, *[answers(503)] * TRIES]
        with faulty_wire(storage._client, faults), pytest.raises(StorageUnavailableError, match=r"s3://bars-.*/lake/many: "):
            list(storage.list_after("many"))


def test_half_an_object_is_never_taken_for_the_whole(storage: S3Storage, tmp_path: Path) -> None:
    storage.put_if_absent("a", bytes(1000))
    storage.local_path("a")
    storage.put_if_absent("b", bytes(2000))
    for read in (storage.get, storage.local_path):
        for faults in ([cuts_the_body], [answers(500)] * TRIES):
            with faulty_wire(storage._client, faults), pytest.raises(StorageUnavailableError, match="lake/b: "):
                read("b")
    assert sorted(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) == [1000]
    with faulty_wire(storage._client, [answers(500), loses_the_answer]):
        assert storage.local_path("b").read_bytes() == bytes(2000)


def test_the_probe_passes_through_any_fault_that_passes(storage: S3Storage) -> None:
    for fault in PASSING:
        for nth in range(4):
            with faulty_wire(storage._client, [*[None] * nth, fault, fault]):
                storage.probe()
    assert list(storage.list_after("_probe")) == []


@pytest.mark.parametrize("fault", [refuses_connections, connects_too_slowly, answers(503)], ids=name_of)
def test_the_probe_of_a_store_that_is_down_says_that_it_may_pass(fault: WireFault, storage: S3Storage) -> None:
    with faulty_wire(storage._client, [fault] * 100), pytest.raises(StorageUnavailableError, match=r"^s3://bars-.*/_probe/"):
        storage.probe()


@pytest.mark.parametrize(("status", "reason"), [(403, "Access Denied"), (501, "not implemented")])
def test_the_probe_refuses_a_store_that_forbids_or_knows_no_conditions(status: int, reason: str, storage: S3Storage) -> None:
    with faulty_wire(storage._client, [answers(status)] * 100) as met, pytest.raises(StorageRefusedError, match=reason):
        storage.probe()
    assert len(met) == 1


def test_the_probe_refuses_a_store_that_overwrites_in_silence(storage: S3Storage) -> None:
    """As old S3 stores do: they answer 200 to a put whose condition they do not know."""
    with (
        faulty_wire(storage._client, [strips_the_condition] * 2, "PutObject"),
        pytest.raises(StorageRefusedError, match=r"s3://bars-.*ignores conditional writes.*overwrite each other.*If-None-Match"),
    ):
        storage.probe()
    assert list(storage.list_after("_probe")) == []
