"""A file's columns read as text, numbers and times; what cannot be is an error that names the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.sources.mapping import SourceError

WALL_CLOCK = pa.timestamp("us")
UTC = pa.timestamp("us", tz="UTC")
_REFUSED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
_DATE_CHARACTERS = len("2013-02-08")


@dataclass(frozen=True)
class FileColumns:
    """What was read from one file, and which of its columns is which field of a bar.

    Rows are called `row_name` in messages and counted from `first_row`. Every method raises SourceError naming file,
    row and column for the first value that is not what it must be.
    """

    table: pa.Table
    mapping: Mapping[str, str]
    file: str
    row_name: str = "row"
    first_row: int = 1

    def __contains__(self, field: object) -> bool:
        return field in self.mapping

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def text(self, field: str, among: tuple[str, ...] | None = None) -> pa.Array:
        """Text that is not empty, trimmed; one of `among` where that is given."""
        values = self._column(field)
        try:
            values = pc.utf8_trim_whitespace(values.cast(pa.string()))
        except _REFUSED:
            raise self._wrong_type(field, values, "text") from None
        self._refuse(field, values, pc.or_kleene(pc.is_null(values), pc.equal(values, "")), "is empty, and a bar must have it")
        if among is not None:
            self._refuse(field, values, pc.invert(pc.is_in(values, pa.array(among))), f"is not one of {', '.join(among)}")
        return values

    def numbers(self, field: str) -> pa.Array:
        """float64; null where the file has no value, or NaN, or no such column."""
        if field not in self.mapping:
            return pa.nulls(self.rows, pa.float64())
        values = self._column(field)
        numbers = self._cast(field, values, pa.float64(), "is not a number")
        numbers = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
        self._refuse(field, values, pc.is_inf(numbers), "is not a finite number")
        return numbers

    def instants(self, field: str) -> pa.Array:
        """UTC microseconds; a time without a zone is taken as UTC."""
        values = self._times(field)
        if pa.types.is_string(values.type):
            kind = UTC if _has_zone(values) else WALL_CLOCK
            values = self._cast(field, values, kind, "is not a time as ISO 8601 writes it (2013-02-08, 2013-02-08T14:30:00Z)")
        return values.cast(UTC) if values.type.tz is not None else pc.assume_timezone(values.cast(WALL_CLOCK), "UTC")

    def dates(self, field: str) -> pa.Array:
        """Midnight UTC of each time's date as the file writes it, in whatever zone. Only after `instants` accepted the column."""
        values = self._times(field)
        if pa.types.is_string(values.type):
            values = pc.utf8_slice_codeunits(values, 0, _DATE_CHARACTERS)
        elif values.type.tz is not None:
            values = pc.local_timestamp(values)
        return pc.assume_timezone(pc.floor_temporal(values.cast(WALL_CLOCK), unit="day").cast(WALL_CLOCK), "UTC")

    def _times(self, field: str) -> pa.Array:
        values = self._column(field)
        if pa.types.is_date(values.type):
            values = values.cast(WALL_CLOCK)
        elif not (pa.types.is_string(values.type) or pa.types.is_timestamp(values.type)):
            raise self._wrong_type(field, values, "a time, a date or text that says one")
        self._refuse(field, values, pc.is_null(values), "is empty, and a bar must have it")
        return values

    def _column(self, field: str) -> pa.Array:
        values = self.table[self.mapping[field]].combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        return pc.utf8_trim_whitespace(values.cast(pa.string())) if is_text else values

    def _cast(self, field: str, values: pa.Array, kind: pa.DataType, complaint: str) -> pa.Array:
        try:
            return values.cast(kind)
        except _REFUSED:
            raise self._wrong_value(field, values, _first_refused(values, kind), complaint) from None

    def _refuse(self, field: str, values: pa.Array, is_wrong: pa.Array, complaint: str) -> None:
        row = pc.index(is_wrong, True).as_py()
        if row >= 0:
            raise self._wrong_value(field, values, row, complaint)

    def _wrong_value(self, field: str, values: pa.Array, row: int, complaint: str) -> SourceError:
        cell = f"{self.file}, {self.row_name} {row + self.first_row}, column {self.mapping[field]}"
        return SourceError(f"{cell}: {values[row].as_py()!r} {complaint}")

    def _wrong_type(self, field: str, values: pa.Array, wanted: str) -> SourceError:
        column = f"{self.file}, column {self.mapping[field]}"
        return SourceError(f"{column}: it is {values.type}, and the bar's {field} must be {wanted}")


def _has_zone(values: pa.Array) -> bool:
    first = values.slice(0, 1)
    return not _casts(first, WALL_CLOCK) and _casts(first, UTC)


def _casts(values: pa.Array, kind: pa.DataType) -> bool:
    try:
        values.cast(kind)
    except _REFUSED:
        return False
    return True


def _first_refused(values: pa.Array, kind: pa.DataType) -> int:
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if _casts(values.slice(low, middle - low), kind):
            low = middle
        else:
            high = middle
    return low
