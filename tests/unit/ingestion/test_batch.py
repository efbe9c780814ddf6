from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingestion.batch import Batch, Limits

LIMITS = Limits(rows=3, bytes=100, seconds=0.5)
HEADERS = [("schema_version", b"1")]


def add(batch: Batch, offset: int, now: float = 0.0, value: bytes | None = b"{}", **changes: Any) -> None:
    message: dict[str, Any] = {"timestamp": 7, "key": b"A", "headers": HEADERS, **changes}
    batch.append(offset, message["timestamp"], message["key"], value, message["headers"], now)


def offsets(batch: Batch) -> list[int]:
    return batch.messages.offsets.tolist()


def every(batch: Batch, part: str) -> list[Any]:
    """The keys, values or headers of all messages."""
    return [getattr(batch.messages, part)(place) for place in range(len(batch.messages))]


def test_a_new_batch_has_nothing_to_land_and_is_never_due() -> None:
    batch = Batch(LIMITS, 10)
    assert batch.is_empty
    assert not batch.is_full
    assert batch.due_at() is None


def test_a_batch_covers_offsets_up_to_the_one_after_its_last_message() -> None:
    batch = Batch(LIMITS, 10)
    add(batch, 10)
    add(batch, 15)
    assert (batch.position, batch.next_offset, offsets(batch)) == (10, 16, [10, 15])


def test_a_batch_is_full_at_its_rows() -> None:
    batch = Batch(LIMITS, 0)
    for offset in range(3):
        assert not batch.is_full
        add(batch, offset)
    assert batch.is_full


def test_a_batch_is_full_at_its_bytes_of_keys_values_and_headers() -> None:
    batch = Batch(Limits(rows=1000, bytes=100, seconds=1), 0)
    add(batch, 0, key=b"k" * 20, value=b"v" * 30, headers=[("n" * 10, b"h" * 30), ("n" * 9, None)])
    assert batch.messages.size == 99
    assert not batch.is_full
    add(batch, 1, key=None, value=b"v", headers=None)
    assert batch.messages.size == 100
    assert batch.is_full


def test_a_batch_is_due_when_its_oldest_message_has_waited_long_enough() -> None:
    batch = Batch(LIMITS, 0)
    add(batch, 0, now=100.0)
    add(batch, 1, now=100.4)
    assert batch.due_at() == 100.5


def test_offsets_without_messages_are_landed_too() -> None:
    batch = Batch(LIMITS, 10)
    batch.pass_over(10, 1.0)
    assert batch.is_empty
    batch.pass_over(12, 2.0)
    assert not batch.is_empty
    assert (len(batch.messages), batch.next_offset, batch.due_at()) == (0, 12, 2.5)
    batch.pass_over(11, 3.0)
    assert batch.next_offset == 12


def test_a_message_that_is_covered_already_is_dropped() -> None:
    batch = Batch(LIMITS, 10)
    add(batch, 9)
    assert batch.is_empty
    add(batch, 10)
    add(batch, 10)
    assert offsets(batch) == [10]


def test_what_landed_is_let_go_and_the_rest_stays_as_old_as_it_is() -> None:
    batch = Batch(LIMITS, 0)
    for offset in (0, 1, 5):
        add(batch, offset, now=float(offset), value=b"x" * offset)
    batch.advance(2)
    assert (batch.position, batch.next_offset, offsets(batch), every(batch, "value")) == (2, 6, [5], [b"xxxxx"])
    assert batch.due_at() == 0.5
    assert not batch.is_full
    batch.advance(6)
    assert batch.is_empty
    assert batch.due_at() is None
    assert batch.messages.size == 0


def test_a_batch_goes_on_where_a_winner_that_had_more_left_off() -> None:
    batch = Batch(LIMITS, 0)
    add(batch, 0)
    batch.advance(9)
    assert (batch.position, batch.next_offset, batch.is_empty) == (9, 9, True)
    add(batch, 5)
    assert batch.is_empty
    add(batch, 9)
    assert offsets(batch) == [9]


def test_keys_values_and_headers_are_given_back_as_they_came() -> None:
    messages = [
        (b"A", b"{}", HEADERS),
        (None, None, None),
        (b"", b"", [("schema_version", b"2")]),
        (b"\x00\xff", b"x" * 100_000, [("schema_version", b"1"), ("trace", None)]),
        (b"A", b"{}", [("schema_version", b"1"), ("trace", None)]),
        (None, b"\xff", HEADERS),
    ] * 100
    batch = Batch(Limits(1000, 100_000_000, 1.0), 0)
    for offset, (key, value, headers) in enumerate(messages):
        add(batch, offset, key=key, value=value, headers=headers)
    assert list(zip(every(batch, "key"), every(batch, "value"), every(batch, "headers"), strict=True)) == messages


@given(st.lists(st.tuples(st.sampled_from(["append", "pass over", "advance"]), st.integers(0, 30), st.integers(0, 20))))
def test_columns_stay_aligned_and_within_what_is_covered(steps: list[tuple[str, int, int]]) -> None:
    batch = Batch(Limits(10, 200, 1.0), 5)
    for now, (step, offset, size) in enumerate(steps):
        if step == "append":
            add(batch, offset, now=now, value=b"%d" % offset + b" " * size, key=None, headers=HEADERS if size % 2 else None)
        elif step == "pass over":
            batch.pass_over(offset, now)
        else:
            batch.advance(max(offset, batch.position))
        assert [int(value) for value in every(batch, "value")] == offsets(batch) == sorted(set(offsets(batch)))
        assert all(batch.position <= offset < batch.next_offset for offset in offsets(batch))
        assert batch.messages.size == sum(len(value) for value in every(batch, "value"))
        assert (batch.due_at() is None) == batch.is_empty
