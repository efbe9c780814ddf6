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
from ingestion.memory import WORD, are_equal, byte, low_bytes, trailing_zeros, word
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
    _spelled_size: NDArray[np.int64]
    _spelled: NDArray[np.int64]

    def spellings(self, text: int) -> list[bytes]:
        """The different texts of a text column, as the messages spell them, in the order of their codes."""
        count = self._spelled[text]
        places = zip(self._spelled_at[text, :count].tolist(), self._spelled_size[text, :count].tolist(), strict=True)
        return [self._data[at : at + size].tobytes() for at, size in places]


def parse(data: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Columns:
    """The columns of the messages that lie in `data`, n of them, each `sizes[i]` bytes from `starts[i]`; none where negative.

    `data` goes on for a word behind the last of them.
    """
    rows = len(starts)
    columns = Columns(
        np.zeros(rows, np.bool_),
        np.zeros((len(TEXTS), rows), np.int32),
        np.zeros((len(TIMES), rows), np.int64),
        np.zeros((len(NUMBERS), rows), np.float64),
        np.zeros((len(NUMBERS), rows), np.bool_),
        data,
        np.empty((len(TEXTS), rows), np.int64),
        np.empty((len(TEXTS), rows), np.int64),
        np.zeros(len(TEXTS), np.int64),
    )
    if rows and (starts + sizes).max() + WORD > len(data):
        raise ValueError("the messages' data must go on for a word behind them")
    _parse_all(
        data.ctypes.data,
        starts,
        sizes,
        columns.is_parsed,
        columns.texts,
        columns.times,
        columns.numbers,
        columns.is_valid,
        np.full((len(TEXTS), 1 << max(4, (2 * rows).bit_length())), -1, np.int32),
        columns._spelled_at,
        columns._spelled_size,
        columns._spelled,
    )
    return columns


_TEXT, _TIME, _NUMBER = 0, 1, 2
_FIELDS = len(BAR_SCHEMA)
_KINDS = np.array([_TEXT if name in TEXTS else _TIME if name in TIMES else _NUMBER for name in BAR_SCHEMA.names])
_PLACES = np.array([(TEXTS, TIMES, NUMBERS)[kind].index(name) for name, kind in zip(BAR_SCHEMA.names, _KINDS, strict=True)])
_NAMES = [f'"{name}"'.encode() for name in BAR_SCHEMA.names]
_NAME_WORDS = np.frombuffer(b"".join(name.ljust(2 * WORD, b"\0") for name in _NAMES), np.uint64).reshape(_FIELDS, 2)
_NAME_MASKS = np.frombuffer(b"".join((b"\xff" * len(name)).ljust(2 * WORD, b"\0") for name in _NAMES), np.uint64).reshape(
    _FIELDS, 2
)
_NAME_SIZES = np.array([len(name) for name in _NAMES])

_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE, _BLANK = 34, 58, 44, 123, 125, 32
_EACH_BYTE, _EACH_TOP_BIT = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES, _BLANKS = (_EACH_BYTE * np.uint64(value) for value in b'"\\ ')


@njit(cache=True, nogil=True, error_model="numpy")
def _parse_all(base, starts, sizes, is_parsed, texts, times, numbers, is_valid, table, spelled_at, spelled_size, spelled):
    time_at = np.zeros(times.shape[0], np.int64)
    time_size = np.full(times.shape[0], -1, np.int64)
    time_value = np.zeros(times.shape[0], np.int64)
    last = np.zeros(texts.shape[0], np.int32)
    for row in range(len(starts)):
        if sizes[row] < 0:
            continue
        end = starts[row] + sizes[row]
        at = _skip_blanks(base, starts[row], end)
        if at == end or byte(base, at) != _OPEN:
            continue
        at += 1
        seen = 0
        for expected in range(_FIELDS):
            at = _skip_blanks(base, at, end)
            field = _field(base, at, end, expected)
            if field < 0 or seen & (1 << field):
                break
            seen |= 1 << field
            at = _skip_blanks(base, at + _NAME_SIZES[field], end)
            if at == end or byte(base, at) != _COLON:
                break
            at = _skip_blanks(base, at + 1, end)
            kind, place = _KINDS[field], _PLACES[field]
            if kind == _NUMBER:
                at, numbers[place, row], is_valid[place, row] = number(base, at, end)
                if at < 0:
                    break
            elif kind == _TIME:
                if not _is_text(base, at, end, time_at[place], time_size[place]):
                    size = _text_size(base, at, end)
                    is_time, value = time(base, at + 1, at + 1 + size)
                    if not is_time:
                        break
                    time_at[place], time_size[place], time_value[place] = at + 1, size, value
                times[place, row] = time_value[place]
                at += time_size[place] + 2
            else:
                code = last[place]
                if spelled[place] == 0 or not _is_text(base, at, end, spelled_at[place, code], spelled_size[place, code]):
                    size = _text_size(base, at, end)
                    if size < 0:
                        break
                    code = _code(base, at + 1, size, table[place], spelled_at[place], spelled_size[place], spelled, place)
                    last[place] = code
                texts[place, row] = code
                at += spelled_size[place, code] + 2
            at = _skip_blanks(base, at, end)
            if at == end or byte(base, at) != (_CLOSE if expected == _FIELDS - 1 else _COMMA):
                break
            at += 1
        else:
            is_parsed[row] = _skip_blanks(base, at, end) == end


@njit(cache=True, nogil=True)
def _skip_blanks(base, at, end):
    while at < end:
        value = byte(base, at)
        if value > _BLANK or not (value == 32 or value == 10 or value == 13 or value == 9):
            break
        at += 1
    return at


@njit(cache=True, nogil=True)
def _text_size(base, at, end):
    """The size of the text whose opening quote is at `at`; −1 when it is none, or holds an escape or a control character."""
    if at >= end or byte(base, at) != _QUOTE:
        return -1
    begin = at + 1
    at = begin
    while at < end:
        eight = word(base, at)
        quotes, escapes = eight ^ _QUOTES, eight ^ _BACKSLASHES
        # The lowest top bit that is set marks the first byte that is a quote, a backslash, or below a blank.
        marks = ((quotes - _EACH_BYTE) & ~quotes) | ((escapes - _EACH_BYTE) & ~escapes) | ((eight - _BLANKS) & ~eight)
        marks &= _EACH_TOP_BIT
        if marks:
            at += np.int64(trailing_zeros(marks) >> np.uint64(3))
            return at - begin if at < end and byte(base, at) == _QUOTE else -1
        at += WORD
    return -1


@njit(cache=True, nogil=True)
def _is_text(base, at, end, known_at, known_size):
    """Whether at `at` is a text, quotes and all, that reads as the known one does; never for a size below zero."""
    return (
        known_size >= 0
        and at + known_size + 2 <= end
        and byte(base, at) == _QUOTE
        and byte(base, at + known_size + 1) == _QUOTE
        and are_equal(base, at + 1, known_at, known_size)
    )


@njit(cache=True, nogil=True)
def _is_name(base, at, end, field):
    """Whether at `at` is the field's name, quotes and all."""
    differs = (word(base, at) ^ _NAME_WORDS[field, 0]) & _NAME_MASKS[field, 0]
    if _NAME_SIZES[field] > WORD and at + WORD <= end:
        differs |= (word(base, at + WORD) ^ _NAME_WORDS[field, 1]) & _NAME_MASKS[field, 1]
    return differs == 0 and at + _NAME_SIZES[field] <= end


@njit(cache=True, nogil=True)
def _field(base, at, end, expected):
    """Which field's name is at `at`, most likely the expected one's; −1 for none."""
    if at >= end:
        return -1
    if _is_name(base, at, end, expected):
        return expected
    for field in range(_FIELDS):
        if _is_name(base, at, end, field):
            return field
    return -1


@njit(cache=True, nogil=True)
def _code(base, at, size, table, spelled_at, spelled_size, spelled, place):
    """The text's code: its number among the different texts of its column, found by hashing."""
    digest = np.uint64(size)
    for part in range(at, at + size, WORD):
        eight = word(base, part)
        if at + size - part < WORD:
            eight &= low_bytes(at + size - part)
        digest = (digest ^ eight) * np.uint64(0x9E3779B97F4A7C15)
        digest ^= digest >> np.uint64(32)
    mask = len(table) - 1
    slot = np.int64(digest & np.uint64(mask))
    while table[slot] >= 0:
        code = table[slot]
        if spelled_size[code] == size and are_equal(base, at, spelled_at[code], size):
            return code
        slot = (slot + 1) & mask
    code = np.int32(spelled[place])
    table[slot] = code
    spelled_at[code], spelled_size[code] = at, size
    spelled[place] += 1
    return code
