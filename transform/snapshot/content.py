"""A hash of a mart's contents: the same rows give the same hash, in whatever order, files and build they are."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_WITHOUT = "change_seq"
"""It says when a row was computed, and not what."""

_NULL = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def content_hash(table: pa.Table) -> str:
    """The sum over rows, modulo 2**64, of a hash of all columns but `change_seq`, to the bit; as 16 hexadecimal digits.

    A sum does not know an order, and that of two tables is the hash of both together. A row's hash is a sum too, of each
    column's bits times a number of its own, and mixed. It tells what differs by accident, not what somebody forged.
    """
    rows = np.zeros(table.num_rows, np.uint64)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name != _WITHOUT:
            bits = _bits(column)
            rows += (bits ^ (bits >> _HALF)) * _factor(name)  # the high bits of a float say most, and a product loses them
    return f"{int(pd.util.hash_array(rows).sum(dtype=np.uint64)):016x}"


@cache
def _factor(name: str) -> np.uint64:
    """An odd number, as if at random."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") | 1)


def _bits(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A value a row. Texts are hashed, once each."""
    if pa.types.is_string(column.type):
        coded = column.combine_chunks().dictionary_encode()
        known = pd.util.hash_array(np.asarray(coded.dictionary.to_pylist(), object)).astype(np.uint64)
        return np.append(known, _NULL)[coded.indices.fill_null(len(known)).to_numpy()]
    numbers = column if pa.types.is_floating(column.type) else column.cast(pa.int64())
    bits = pc.fill_null(numbers, 0).to_numpy().view(np.uint64)
    return np.where(column.is_null().to_numpy(), _NULL, bits) if column.null_count else bits
