"""CSV files, plain or compressed, every cell as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from ingestion.sources.bad_cells import BadCells
from ingestion.sources.columns import FileColumns
from ingestion.sources.mapping import SourceError, choose_mapping

_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_BROKEN = (pa.ArrowInvalid, OSError)
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars (|)"}
_HEADER_LINES = 1
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BLOCK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class CsvFile:
    """A comma-separated file with a header line, and the columns a bar needs; `.gz`, `.bz2`, `.lz4`, `.zst` are unpacked."""

    path: Path
    mapping: Mapping[str, str]

    def read(self) -> FileColumns:
        """All of it. Raises SourceError when it is not CSV or cannot be unpacked."""
        try:
            table = csv.read_csv(str(self.path), convert_options=self._convert)
        except _BROKEN as error:
            raise self._broken(error) from None
        return FileColumns(table, self.mapping, self.path.name, self._bad_cells(), first_row=_HEADER_LINES + 1)

    def batches(self) -> Iterator[FileColumns]:
        """All of it, piece by piece. Raises as `read` does, at the piece where it is."""
        bad, row = self._bad_cells(), _HEADER_LINES + 1
        try:
            blocks = csv.ReadOptions(block_size=_BLOCK_BYTES)
            with csv.open_csv(str(self.path), read_options=blocks, convert_options=self._convert) as reader:
                for batch in reader:
                    yield FileColumns(pa.table(batch), self.mapping, self.path.name, bad, first_row=row)
                    row += batch.num_rows
        except _BROKEN as error:
            raise self._broken(error) from None

    @property
    def _convert(self) -> csv.ConvertOptions:
        wanted = list(dict.fromkeys(self.mapping.values()))
        types = dict.fromkeys(wanted, pa.string())
        return csv.ConvertOptions(column_types=types, include_columns=wanted, null_values=_NULLS, strings_can_be_null=True)

    def _bad_cells(self) -> BadCells:
        return BadCells(self.path.name, "line")

    def _broken(self, error: Exception) -> SourceError:
        return _broken(self.path, error)


def open_csv(path: Path, *, mapping: Mapping[str, str] | None = None, symbol: str | None = None) -> CsvFile:
    """The file with its columns told. Raises SourceError when it is not CSV, or its columns cannot be told."""
    try:
        with csv.open_csv(str(path)) as reader:
            header = list(reader.schema.names)
    except (*_BROKEN, UnicodeDecodeError) as error:
        raise _broken(path, error) from None
    if len(header) == 1 and (found := [name for sign, name in _OTHER_SEPARATORS.items() if sign in header[0]]):
        raise SourceError(
            f"{path.name} parts its columns by {found[0]}, and is read as parted by commas. "
            "Save it with commas, and with a point in its numbers: 1234.5"
        )
    return CsvFile(path, choose_mapping(header, given=mapping, symbol=symbol, where=path.name))


def _broken(path: Path, error: Exception) -> SourceError:
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error) or _is_utf_16(path):
        return SourceError(
            f"{path.name} is not written in UTF-8, and is read as if it were. Save it as UTF-8, or convert it, "
            f"from Latin-1 for example: iconv -f LATIN1 -t UTF-8 {path.name} > utf8-{path.name}"
        )
    return SourceError(f"{path.name} cannot be read as CSV: {_with_line(path) or error}")


def _is_utf_16(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in _UTF_16


def _with_line(path: Path) -> Exception | None:
    """What is wrong with the file, by line: only one thread counts them."""
    try:
        csv.read_csv(str(path), read_options=csv.ReadOptions(use_threads=False))
    except _BROKEN as error:
        return error
    return None
