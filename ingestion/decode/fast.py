"""The compiled parser: well-formed bars of a batch to columns, and word of which messages need a careful look.

It takes the JSON that producers write. Whatever is in doubt (an escape, an unknown field, a number that 128 bits cannot tell, a
time that is none) it leaves to `ingestion.decode.careful`, which decides; what it takes, both read alike, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from ingestion.decode.scalars import number, time
from tickhouse.bar import BAR_SCHEMA

TEXTS = [field.name for field in BAR_SCHEMA if pa.types.is_string(field.type)]
TIMES = [field.name for field in BAR_SCHEMA if pa.types.is_timestamp(field.type)]
NUMBERS = [field.name for field in BAR_SCHEMA if pa.types.is_floating(field.type)]


@dataclass(frozen=True)
class Columns:
    """Fields of n messages. Rows are right where `is_parsed`, and elsewhere for somebody else to fill in.

    `texts[i]` are codes of TEXTS[i] into the texts that `spellings(i)` gives; `times` are UTC microseconds, in the
    order of TIMES; `numbers` are in the order of NUMBERS, null where not `is_valid`.
    """

    is_parsed: NDArray[np.bool_]
    texts: NDArray[np.int32]
    times: NDArray[np.int64]
    numbers: NDArray[np.float64]
    is_valid: NDArray[np.bool_]
    _data: NDArray[np.uint8]
    _spelled_at: NDArray[np.int64]
    _spelled_size: NDArray[np.int32]
    _spelled: NDArray[np.int64]

    def spellings(self, text: int) -> list[bytes]:
        """The different texts of a text column, as the messages spell them, in the order of their codes."""
        places = zip(self._spelled_at[text], self._spelled_size[text], strict=True)
        return [self._data[at : at + size].tobytes() for at, size in list(places)[: self._spelled[text]]]


def parse(data: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Columns:
    """The columns of the messages that lie in `data`, n of them, each `sizes[i]` bytes from `starts[i]`; none where negative."""
    rows = len(starts)
    columns = Columns(
        np.zeros(rows, np.bool_),
        np.zeros((len(TEXTS), rows), np.int32),
        np.zeros((len(TIMES), rows), np.int64),
        np.zeros((len(NUMBERS), rows), np.float64),
        np.zeros((len(NUMBERS), rows), np.bool_),
        data,
        np.zeros((len(TEXTS), rows), np.int64),
        np.zeros((len(TEXTS), rows), np.int32),
        np.zeros(len(TEXTS), np.int64),
    )
    table = np.full((len(TEXTS), 1 << max(4, (2 * rows).bit_length())), -1, np.int32)
    _parse_all(
        data,
        starts,
        sizes,
        columns.is_parsed,
        columns.texts,
        columns.times,
        columns.numbers,
        columns.is_valid,
        table,
        columns._spelled_at,
        columns._spelled_size,
        columns._spelled,
    )
    return columns


_TEXT, _TIME, _NUMBER = 0, 1, 2
_FIELDS = len(BAR_SCHEMA)
_NAMES = np.frombuffer("".join(BAR_SCHEMA.names).encode(), np.uint8)
_NAME_ENDS = np.cumsum([len(name) for name in BAR_SCHEMA.names])
_KINDS = np.array([_TEXT if name in TEXTS else _TIME if name in TIMES else _NUMBER for name in BAR_SCHEMA.names])
_PLACES = np.array([(TEXTS + TIMES + NUMBERS).index(name) for name in BAR_SCHEMA.names]) - np.choose(
    _KINDS, [0, len(TEXTS), len(TEXTS) + len(TIMES)]
)
_QUOTE, _BACKSLASH, _COLON, _COMMA, _OPEN, _CLOSE = 34, 92, 58, 44, 123, 125


@njit(cache=True, nogil=True, error_model="numpy")
def _parse_all(data, starts, sizes, is_parsed, texts, times, numbers, is_valid, table, spelled_at, spelled_size, spelled):
    time_at = np.zeros(times.shape[0], np.int64)
    time_size = np.full(times.shape[0], -1, np.int64)
    time_value = np.zeros(times.shape[0], np.int64)
    for row in range(len(starts)):
        if sizes[row] < 0:
            continue
        end = starts[row] + sizes[row]
        at = _skip_blanks(data, starts[row], end)
        if at == end or data[at] != _OPEN:
            continue
        at += 1
        seen = 0
        for expected in range(_FIELDS):
            at = _skip_blanks(data, at, end)
            name_end = _text_end(data, at, end)
            if name_end < 0:
                break
            field = _field(data, at + 1, name_end, expected)
            if field < 0 or seen & (1 << field):
                break
            at = _skip_blanks(data, name_end + 1, end)
            if at == end or data[at] != _COLON:
                break
            at = _skip_blanks(data, at + 1, end)
            kind, place = _KINDS[field], _PLACES[field]
            if kind == _NUMBER:
                at, numbers[place, row], is_valid[place, row] = number(data, at, end)
                if at < 0:
                    break
            else:
                value_end = _text_end(data, at, end)
                if value_end < 0:
                    break
                size = value_end - at - 1
                if kind == _TEXT:
                    texts[place, row] = _code(
                        data,
                        at + 1,
                        size,
                        table[place],
                        spelled_at[place],
                        spelled_size[place],
                        spelled,
                        place,
                        texts[place, row - 1],
                    )
                elif size == time_size[place] and _are_equal(data, at + 1, time_at[place], size):
                    times[place, row] = time_value[place]
                else:
                    is_time, value = time(data, at + 1, value_end)
                    if not is_time:
                        break
                    times[place, row] = value
                    time_at[place], time_size[place], time_value[place] = at + 1, size, value
                at = value_end + 1
            seen |= 1 << field
            at = _skip_blanks(data, at, end)
            if at == end or data[at] != (_CLOSE if expected == _FIELDS - 1 else _COMMA):
                break
            at += 1
        else:
            is_parsed[row] = _skip_blanks(data, at, end) == end


@njit(cache=True, nogil=True, error_model="numpy")
def _skip_blanks(data, at, end):
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _text_end(data, at, end):
    """Where the text that begins at `at` has its closing quote; −1 when there is none, or something to look at with care."""
    if at >= end or data[at] != _QUOTE:
        return -1
    at += 1
    while at < end:
        byte = data[at]
        if byte == _QUOTE:
            return at
        if byte == _BACKSLASH or byte < 32:
            return -1
        at += 1
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _are_equal(data, one, other, size):
    for at in range(size):  # noqa: SIM110  # compiled, a loop is quicker than a generator
        if data[one + at] != data[other + at]:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _is_name(data, begin, end, field):
    name_begin = _NAME_ENDS[field - 1] if field else 0
    if end - begin != _NAME_ENDS[field] - name_begin:
        return False
    for at in range(end - begin):  # noqa: SIM110
        if data[begin + at] != _NAMES[name_begin + at]:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _field(data, begin, end, expected):
    """Which field the name is, most likely the expected one; −1 for none."""
    if _is_name(data, begin, end, expected):
        return expected
    for field in range(_FIELDS):
        if _is_name(data, begin, end, field):
            return field
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _code(data, at, size, table, spelled_at, spelled_size, spelled, place, last):
    """The text's code: its number among the different texts of its column, found by hashing (FNV-1a) or `last` seen."""
    if spelled[place] and spelled_size[last] == size and _are_equal(data, at, spelled_at[last], size):
        return last
    digest = np.uint64(14695981039346656037)
    for byte in data[at : at + size]:
        digest = (digest ^ np.uint64(byte)) * np.uint64(1099511628211)
    mask = len(table) - 1
    slot = np.int64((digest ^ (digest >> np.uint64(29))) & np.uint64(mask))
    while table[slot] >= 0:
        code = table[slot]
        if spelled_size[code] == size and _are_equal(data, at, spelled_at[code], size):
            return code
        slot = (slot + 1) & mask
    code = np.int32(spelled[place])
    table[slot] = code
    spelled_at[code], spelled_size[code] = at, size
    spelled[place] += 1
    return code
