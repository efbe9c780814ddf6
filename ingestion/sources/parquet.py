"""Parquet files, read in the types they were written in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.sources.columns import FileColumns
from ingestion.sources.mapping import SourceError, choose_mapping


def read_parquet(path: Path, *, mapping: Mapping[str, str] | None = None, symbol: str | None = None) -> FileColumns:
    """The columns of one Parquet file that a bar needs.

    Raises SourceError when the file is not Parquet or its columns cannot be told, OSError when it cannot be opened.
    """
    try:
        with pq.ParquetFile(path) as file:
            chosen = choose_mapping(file.schema_arrow.names, given=mapping, symbol=symbol, where=path.name)
            table = file.read(columns=list(dict.fromkeys(chosen.values())))
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path.name} is not a Parquet file: {error}") from None
    return FileColumns(table, chosen, path.name)
