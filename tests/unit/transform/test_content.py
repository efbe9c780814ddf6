"""The same rows have the same hash, however they lie; others have another."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transform.snapshot.content import content_hash

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("is_closed", pa.bool_()),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("change_seq", pa.int64()),
    ]
)
NUMBERS = st.none() | st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 100.0, 5e-324])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "symbol": st.none() | st.sampled_from(["", "A", "AA", "Ü"]),
            "close": NUMBERS,
            "volume": NUMBERS,
            "is_closed": st.none() | st.booleans(),
            "ts": st.none() | st.integers(0, 3),
            "change_seq": st.integers(0, 5),
        }
    ),
    max_size=8,
)

Row = dict[str, Any]


def hash_of(rows: list[Row]) -> str:
    return content_hash(pa.Table.from_pylist(rows, schema=SCHEMA))


def plain(row: Row) -> str:
    """What the row says: its bits, without the build."""
    return str([value for name, value in row.items() if name != "change_seq"])


@given(ROWS, st.randoms(), st.integers(0, 8))
def test_neither_order_nor_division_nor_build_changes_it(rows: list[Row], random: Any, place: int) -> None:
    shuffled = [{**row, "change_seq": 99} for row in rows]
    random.shuffle(shuffled)
    assert hash_of(shuffled) == hash_of(rows)
    parts = (int(hash_of(part), 16) for part in (rows[:place], rows[place:]))
    assert f"{sum(parts) % 2**64:016x}" == hash_of(rows)


@given(ROWS, ROWS)
def test_other_rows_have_another(rows: list[Row], others: list[Row]) -> None:
    is_same = sorted(map(plain, rows)) == sorted(map(plain, others))
    assert (hash_of(rows) == hash_of(others)) == is_same


@given(ROWS.filter(bool), st.data())
def test_one_changed_value_a_double_or_a_swap_changes_it(rows: list[Row], data: Any) -> None:
    row = data.draw(st.sampled_from(rows))
    assert hash_of([*rows, row]) != hash_of(rows)
    swapped = {**row, "close": row["volume"], "volume": row["close"]}
    others = [swapped if each is row else each for each in rows]
    assert (hash_of(others) == hash_of(rows)) == (plain(swapped) == plain(row))
    changed = [{**each, "close": 0.5 if each["close"] != 0.5 else 0.25} if each is row else each for each in rows]
    assert hash_of(changed) != hash_of(rows)


def test_null_zero_nan_and_nothing_are_told_apart() -> None:
    values = [None, 0.0, -0.0, math.nan, math.inf, -math.inf]
    assert len({hash_of([{"symbol": "A", "close": value}]) for value in values}) == len(values)
    assert len({hash_of([{"symbol": value}]) for value in (None, "", " ")}) == 3
    assert hash_of([]) == "0" * 16


def test_rows_that_differ_in_few_bits_have_hashes_of_their_own() -> None:
    closes = pa.array([100 + number / 64 for number in range(100)])
    hashes = {
        content_hash(pa.table({"symbol": ["A"], "close": [close], "volume": [volume]}))
        for close in closes.to_pylist()
        for volume in closes.to_pylist()
    }
    assert len(hashes) == 10_000
