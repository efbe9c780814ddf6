"""A file's columns read as text, numbers and times; what cannot be is an error that names the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.sources.bad_cells import REFUSED, BadCells, casts, rows_where
from ingestion.sources.mapping import SourceError

WALL_CLOCK = pa.timestamp("us")
UTC = pa.timestamp("us", tz="UTC")
_DATE_CHARACTERS = len("2013-02-08")


@dataclass(frozen=True)
class FileColumns:
    """What was read from one file or a piece of it, and which of its columns is which field of a bar.

    The file counts the first row here as `first_row`. A value that is not what it must be goes to `bad`, and the column is of no
    use then: call `bad.refuse()` before using any. A column of a wrong type raises SourceError.
    """

    table: pa.Table
    mapping: Mapping[str, str]
    file: str
    bad: BadCells
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
        except REFUSED:
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
        """Midnight UTC of each time's date as the file writes it, in whatever zone. Only after `bad.refuse()`."""
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
        except REFUSED:
            self.bad.add_refused(self.mapping[field], self.first_row, values, kind, complaint)
            return pa.nulls(len(values), kind)

    def _refuse(self, field: str, values: pa.Array, is_wrong: pa.Array, complaint: str) -> None:
        rows = rows_where(is_wrong)
        if len(rows):
            self.bad.add(self.mapping[field], self.first_row, values, rows, complaint)

    def _wrong_type(self, field: str, values: pa.Array, wanted: str) -> SourceError:
        column = f"{self.file}, column {self.mapping[field]}"
        return SourceError(f"{column}: it is {values.type}, and the bar's {field} must be {wanted}")


def _has_zone(values: pa.Array) -> bool:
    first = values.drop_null().slice(0, 1)
    return not casts(first, WALL_CLOCK) and casts(first, UTC)
