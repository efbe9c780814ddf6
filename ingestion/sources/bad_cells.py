"""The cells of a file that cannot be read: the first few by place, all of them counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.sources.mapping import SourceError

EXAMPLES = 5
LOOKED_AT = 1_000
"""Finding cells that cannot be cast takes time: of one column's in one piece of a file so many are looked for."""

REFUSED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)


class BadCellsError(SourceError):
    """Cells of a file cannot be read."""


class BadCells:
    """Collected while a file is read, so that one look at it tells of all."""

    def __init__(self, file: str, row_name: str) -> None:
        self._file = file
        self._row_name = row_name
        self._examples: list[tuple[int, str]] = []
        self._count = 0
        self._is_all = True

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, column: str, first_row: int, values: pa.Array, rows: pa.Array | list[int], complaint: str) -> None:
        """Note that `values` at `rows` are bad. The file counts the first of `values` as row `first_row`."""
        self._count += len(rows)
        for row in pa.array(rows[:EXAMPLES]).to_pylist():
            place = f"{self._row_name} {row + first_row}, column {column}"
            self._examples.append((row + first_row, f"{place}: {values[row].as_py()!r} {complaint}"))
        self._examples = sorted(self._examples)[:EXAMPLES]

    def add_refused(self, column: str, first_row: int, values: pa.Array, kind: pa.DataType, complaint: str) -> None:
        """Note which of `values` cannot be cast to `kind`."""
        rows = list(islice(_refused(values, kind, 0), LOOKED_AT + 1))
        self._is_all &= len(rows) <= LOOKED_AT
        self.add(column, first_row, values, rows[:LOOKED_AT], complaint)

    def refuse(self) -> None:
        """Raise BadCellsError, with the first few cells and the count, when there were any."""
        if self._count == 1:
            raise BadCellsError(f"{self._file}, {self._examples[0][1]}")
        if self._count > 1:
            count = f"{self._count:,}" if self._is_all else f"more than {self._count:,}"
            of_them = "they are" if self._count == len(self._examples) else "the first are"
            cells = "\n".join(f"  {text}" for _, text in self._examples)
            raise BadCellsError(f"{self._file}: {count} cells cannot be read; {of_them}\n{cells}")


def casts(values: pa.Array, kind: pa.DataType) -> bool:
    """Whether all of `values` can be cast to `kind`."""
    try:
        values.cast(kind)
    except REFUSED:
        return False
    return True


def _refused(values: pa.Array, kind: pa.DataType, first: int) -> Iterator[int]:
    if casts(values, kind):
        return
    if len(values) == 1:
        yield first
        return
    half = len(values) // 2
    yield from _refused(values.slice(0, half), kind, first)
    yield from _refused(values.slice(half), kind, first + half)


def rows_where(is_bad: pa.Array) -> pa.Array:
    """The rows where `is_bad` is true, not null."""
    return pc.indices_nonzero(pc.fill_null(is_bad, False))
