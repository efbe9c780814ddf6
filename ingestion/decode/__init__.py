"""From messages to bars: what is one, in columns, and what is none, with the stage and the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingestion.decode.careful import NotABarError, Row, Stage, is_symbol, parse_message
from ingestion.decode.fast import NUMBERS, TEXTS, TIMES, Columns, parse
from ingestion.messages import NO_HEADERS, OUR_HEADERS, Messages
from ingestion.origin import Origin, OriginError, read_origin
from tickhouse.bar import BAR_SCHEMA, INTERVALS, with_coded_texts

__all__ = ["DECODED_SCHEMA", "Decoded", "Rejected", "decode"]

DECODED_SCHEMA = with_coded_texts(BAR_SCHEMA)
"""What bars are decoded to."""


@dataclass(frozen=True)
class Rejected:
    """A message that is not a bar: its place in the batch, where it fell out, and why, for people."""

    index: int
    stage: Stage
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A batch taken apart: `bars` (DECODED_SCHEMA) with `indices`, their places in the batch, in order; and the rest.

    `origins` are those of replayed dead letters, by their places in the batch, whether they are bars now or rejected again.
    `extra_fields` counts, by name, the fields that bars do not have and that were left out.
    """

    bars: pa.Table
    indices: NDArray[np.int64]
    rejected: list[Rejected]
    origins: dict[int, Origin]
    extra_fields: Counter[str]


def decode(messages: Messages) -> Decoded:
    """Take a batch of messages apart; every message is either a bar or rejected.

    A value is one JSON object with all of BAR_SCHEMA's fields: texts, numbers or null for prices and volume, times as
    ISO 8601 in UTC with a trailing Z. A header `schema_version` other than ours is rejected; a message without that
    header counts as of our version. A header `tickhouse_origin` must be one. Nothing that a message holds raises an error.
    """
    columns = parse(messages.data, messages.value_starts, messages.value_sizes)
    is_plain = (messages.header_codes_told == NO_HEADERS) | (messages.header_codes_told == OUR_HEADERS)
    is_bar = columns.is_parsed & is_plain
    texts = [_Texts(columns, place, _TEXT_RULES.get(name, _is_any)) for place, name in enumerate(TEXTS)]
    for text in texts:
        is_bar &= text.are_good()
    rejected = []
    origins = {}
    extra_fields: Counter[str] = Counter()
    for index in np.flatnonzero(~is_bar).tolist():
        headers = messages.headers(index)
        try:
            if (origin := read_origin(headers)) is not None:
                origins[index] = origin
            row, extra = parse_message(messages.value(index), headers)
        except OriginError as error:
            rejected.append(Rejected(index, "origin", str(error)))
            continue
        except NotABarError as error:
            rejected.append(Rejected(index, error.stage, str(error)))
            continue
        _fill_in(columns, texts, index, row)
        is_bar[index] = True
        extra_fields.update(extra)
    return Decoded(_table(columns, texts, is_bar), np.flatnonzero(is_bar), rejected, origins, extra_fields)


class _Texts:
    """One text column: its codes, and what they stand for."""

    def __init__(self, columns: Columns, place: int, is_good: Callable[[str], bool]) -> None:
        self.codes = columns.texts[place]
        self._is_good = is_good
        self.dictionary = [self._read(spelling) for spelling in columns.spellings(place)]
        self._number = {text: code for code, text in enumerate(self.dictionary) if text is not None}

    def are_good(self) -> NDArray[np.bool_]:
        """Which rows' texts may stand; of those that were not parsed nothing is said."""
        if None not in self.dictionary:
            return np.ones(len(self.codes), np.bool_)
        return np.array([text is not None for text in self.dictionary])[self.codes]

    def fill_in(self, row: int, text: str) -> None:
        code = self._number.setdefault(text, len(self.dictionary))
        if code == len(self.dictionary):
            self.dictionary.append(text)
        self.codes[row] = code

    def array(self, is_bar: NDArray[np.bool_]) -> pa.DictionaryArray:
        if is_bar.all():
            return pa.DictionaryArray.from_arrays(pa.array(self.codes), pa.array(self.dictionary, pa.string()))
        used, codes = np.unique(self.codes[is_bar], return_inverse=True)
        texts = pa.array([self.dictionary[code] for code in used], pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), texts)

    def _read(self, spelling: bytes) -> str | None:
        try:
            text = spelling.decode()
        except UnicodeDecodeError:
            return None
        return text if self._is_good(text) else None


def _is_any(text: str) -> bool:
    return True


_TEXT_RULES: dict[str, Callable[[str], bool]] = {"symbol": is_symbol, "interval": INTERVALS.__contains__}


def _fill_in(columns: Columns, texts: list[_Texts], index: int, row: Row) -> None:
    for text, name in zip(texts, TEXTS, strict=True):
        text.fill_in(index, row[name])
    for place, name in enumerate(TIMES):
        columns.times[place, index] = row[name]
    for place, name in enumerate(NUMBERS):
        columns.is_valid[place, index] = row[name] is not None
        columns.numbers[place, index] = 0.0 if row[name] is None else row[name]


def _table(columns: Columns, texts: list[_Texts], is_bar: NDArray[np.bool_]) -> pa.Table:
    kept = slice(None) if is_bar.all() else is_bar
    arrays = {name: text.array(is_bar) for name, text in zip(TEXTS, texts, strict=True)}
    for name, times in zip(TIMES, columns.times, strict=True):
        arrays[name] = pa.array(times[kept]).view(BAR_SCHEMA.field(name).type)
    for name, numbers, is_valid in zip(NUMBERS, columns.numbers, columns.is_valid, strict=True):
        arrays[name] = pa.array(numbers[kept], mask=None if is_valid[kept].all() else ~is_valid[kept])
    return pa.Table.from_arrays([arrays[name] for name in BAR_SCHEMA.names], schema=DECODED_SCHEMA)
