"""Parquet files, read in the types they were written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.sources.bad_cells import BadCells
from ingestion.sources.columns import FileColumns
from ingestion.sources.feed import PIECE_ROWS
from ingestion.sources.mapping import SourceError, choose_mapping

_BUFFER_BYTES = 1024 * 1024  # of a column at a time, instead of whole row groups


@dataclass(frozen=True)
class ParquetFile:
    """One Parquet file, and which of its columns a bar needs."""

    path: Path
    mapping: Mapping[str, str]

    def read(self) -> FileColumns:
        """All of it."""
        with pq.ParquetFile(self.path) as file:
            table = file.read(columns=self._wanted)
        return FileColumns(table, self.mapping, self.path.name, self._bad_cells())

    def batches(self) -> Iterator[FileColumns]:
        """All of it, piece by piece."""
        bad, row = self._bad_cells(), 1
        with pq.ParquetFile(self.path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=PIECE_ROWS, columns=self._wanted):
                yield FileColumns(pa.table(batch), self.mapping, self.path.name, bad, first_row=row)
                row += batch.num_rows

    @property
    def _wanted(self) -> list[str]:
        return list(dict.fromkeys(self.mapping.values()))

    def _bad_cells(self) -> BadCells:
        return BadCells(self.path.name, "row")


def open_parquet(path: Path, *, mapping: Mapping[str, str] | None = None, symbol: str | None = None) -> ParquetFile:
    """The file with its columns told.

    Raises SourceError when it is not Parquet or its columns cannot be told, OSError when it cannot be opened.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path.name} is not a Parquet file: {error}") from None
    return ParquetFile(path, choose_mapping(names, given=mapping, symbol=symbol, where=path.name))
