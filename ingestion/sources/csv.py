"""CSV files, plain or compressed, every cell as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from ingestion.sources.columns import FileColumns
from ingestion.sources.mapping import SourceError, choose_mapping

_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


def read_csv(path: Path, *, mapping: Mapping[str, str] | None = None, symbol: str | None = None) -> FileColumns:
    """The columns of a comma-separated file with a header line; `.gz`, `.bz2`, `.lz4` and `.zst` are unpacked.

    Raises SourceError when the file is not CSV or its columns cannot be told, OSError when it cannot be opened.
    """
    with pa.input_stream(str(path), compression="detect") as stream:
        try:
            found = _header(stream, path)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{path.name} is not a CSV file: {error}") from None
    chosen = choose_mapping(found, given=mapping, symbol=symbol, where=path.name)
    wanted = list(dict.fromkeys(chosen.values()))
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, null_values=_NULLS, strings_can_be_null=True
    )
    try:
        table = csv.read_csv(str(path), convert_options=convert)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path.name} cannot be read as CSV: {error}") from None
    return FileColumns(table, chosen, path.name, row_name="line", first_row=2)


def _header(stream: pa.NativeFile, path: Path) -> list[str]:
    with csv.open_csv(stream) as reader:
        return list(reader.schema.names)
