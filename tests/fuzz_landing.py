"""Fuzzed messages through the real lander to Parquet and back: each is a bar or a dead letter, as careful parsing says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from decode_oracle import bits_of, careful_word_on
from fuzz_messages import FuzzedMessage

from ingestion.batch import Limits
from ingestion.chain.put import begin_chain, find_end
from ingestion.chain.slot import Chain
from ingestion.chain.walk import read_rows, walk
from ingestion.dead_letter import read_dead_letters
from ingestion.lander import PartitionLander
from tickhouse.storage.local import LocalStorage

CHAIN = Chain("fuzzed", "incarnation", 0)
LIMITS = Limits(rows=10**9, bytes=10**12, seconds=1.0)
FIRST_TIMESTAMP = 1_000


class FuzzedLake:
    """A chain that takes one batch after another, and is read back after each."""

    def __init__(self, folder: Path) -> None:
        self._storage = LocalStorage(folder)
        begin_chain(self._storage, CHAIN, 0, datetime(2026, 1, 1, tzinfo=UTC))
        end = find_end(self._storage, CHAIN)
        assert end is not None
        self._lander = PartitionLander(self._storage, CHAIN, end, LIMITS, "fuzzer")

    def land(self, batch: Sequence[FuzzedMessage]) -> tuple[int, int]:
        """Land the batch as a slot and compare what is read back, message by message; how many are bars, and dead letters."""
        first = self._lander.end.next_offset
        for offset, message in enumerate(batch, first):
            timestamp = FIRST_TIMESTAMP + offset
            self._lander.batch.append(offset, timestamp, message.key, message.value, message.headers, 0.0)
        self._lander.land()
        (slot,) = walk(self._storage, CHAIN, first)
        rows, letters = read_rows(self._storage, slot), read_dead_letters(self._storage, slot.footer)
        found: dict[int, Any] = dict(zip(rows["offset"].to_pylist(), bits_of(rows), strict=True))
        found |= {letter["offset"]: letter for letter in letters.to_pylist()}
        assert len(found) == rows.num_rows + letters.num_rows == len(batch), "a message is lost, or there twice"
        assert (slot.footer.rows, slot.footer.dead_letters) == (rows.num_rows, letters.num_rows)
        for offset, message in enumerate(batch, first):
            expected, _ = careful_word_on(message)
            if isinstance(found[offset], dict):
                assert as_letter(found[offset]) == (*expected, message.key, message.value, list(message.headers or ()))
            else:
                assert found[offset] == expected, f"{found[offset]} is not {expected}, of {message}"
        return rows.num_rows, letters.num_rows


def as_letter(letter: dict[str, Any]) -> tuple[Any, ...]:
    headers = [(header["name"], header["value"]) for header in letter["headers"]]
    return letter["stage"], letter["reason"], letter["key"], letter["value"], headers
