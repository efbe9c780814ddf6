"""CSV files, plain or compressed, every cell as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from ingestion.sources.columns import FileColumns
from ingestion.sources.mapping import SourceError, choose_mapping

_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_BROKEN = (pa.ArrowInvalid, OSError)


def read_csv(path: Path, *, mapping: Mapping[str, str] | None = None, symbol: str | None = None) -> FileColumns:
    """The columns of a comma-separated file with a header line; `.gz`, `.bz2`, `.lz4` and `.zst` are unpacked.

    Raises SourceError when the file is not CSV, cannot be unpacked, or its columns cannot be told.
    """
    try:
        chosen = choose_mapping(_header(path), given=mapping, symbol=symbol, where=path.name)
        wanted = list(dict.fromkeys(chosen.values()))
        convert = csv.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, null_values=_NULLS, strings_can_be_null=True
        )
        table = csv.read_csv(str(path), convert_options=convert)
    except _BROKEN as error:
        raise SourceError(f"{path.name} cannot be read as CSV: {_with_line(path) or error}") from None
    return FileColumns(table, chosen, path.name, row_name="line", first_row=2)


def _header(path: Path) -> list[str]:
    with csv.open_csv(str(path)) as reader:
        return list(reader.schema.names)


def _with_line(path: Path) -> Exception | None:
    """What is wrong with the file, by line: only one thread counts them."""
    try:
        csv.read_csv(str(path), read_options=csv.ReadOptions(use_threads=False))
    except _BROKEN as error:
        return error
    return None
