"""The lake's objects as a proof reads them: whole, by their seals, counted, and told of when missing or damaged."""

from __future__ import annotations

import pyarrow as pa

from ingestion.chain.seal import SealBrokenError, read_sealed
from tickhouse.storage import ObjectMissingError, Storage
from transform.proof.finding import Findings


class LakeFiles:
    """Reads objects one at a time, and raises what the storage does. `unsealed` counts Parquet files older than seals."""

    def __init__(self, storage: Storage, findings: Findings) -> None:
        self.storage = storage
        self.findings = findings
        self.files = 0
        self.bytes = 0
        self.unsealed = 0

    def get(self, key: str) -> bytes | None:
        """The object's bytes, None when it is missing."""
        try:
            data = self.storage.get(key)
        except ObjectMissingError:
            return None
        self.files += 1
        self.bytes += len(data)
        return data

    def rows(self, what: str, key: str, data: bytes, remedy: str) -> pa.Table | None:
        """The rows of an object of ours, with its metadata; None when it is damaged, which is told."""
        try:
            table, is_sealed = read_sealed(data)
        except SealBrokenError as error:
            expected, found = "the bytes that were written", str(error)
        except (pa.ArrowException, OSError, ValueError) as error:
            expected, found = "a Parquet file", f"it cannot be read: {_first_line(error)}"
        else:
            self.unsealed += not is_sealed
            return table
        self.findings.add(f"{what} damaged", key, expected=expected, found=found, remedy=remedy)
        return None

    def needed(self, what: str, key: str, expected: str, remedy: str) -> pa.Table | None:
        """The rows of an object that has to be there; None when it is missing or damaged, which is told."""
        data = self.get(key)
        if data is not None:
            return self.rows(what, key, data, remedy)
        self.findings.add(f"{what} missing", key, expected=expected, found="no such object", remedy=remedy)
        return None


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
