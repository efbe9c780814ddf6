"""Messages of one partition as columns of numbers and one stretch of bytes: nothing for the garbage collector to visit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestion.memory import WORD
from tickhouse.bar import SCHEMA_VERSION

Headers = Sequence[tuple[str, bytes | None]] | None

VERSION_HEADER = "schema_version"
_OURS: Headers = [(VERSION_HEADER, str(SCHEMA_VERSION).encode())]
NO_HEADERS, OUR_HEADERS, ODD_HEADERS = 0, 1, 2
"""How a message's headers are told: none; the schema version that is ours, and nothing else; or, from 2 on, by number."""

OFFSET, TIMESTAMP, START, VALUE_SIZE, KEY_SIZE = range(5)
"""The rows of `Messages.numbers`."""

_FIRST_ROWS, _FIRST_BYTES = 256, 64 * 1024


class Messages:
    """A growing column store. Offsets rise; places count from 0; a key or value that is null has the size −1.

    `data` holds each message's value and behind it its key, and has a word to spare behind the last.
    """

    def __init__(self, like: Messages | None = None) -> None:
        """Empty; with the room that `like` has come to have, where it is given."""
        self._odd_headers: list[Headers] = []
        self._odd_bytes = 0
        self._first = 0
        self.rows = 0
        self.used = 0
        room, rows = (_FIRST_BYTES, _FIRST_ROWS) if like is None else (len(like.data), len(like.header_codes))
        self.data: NDArray[np.uint8] = np.empty(room, np.uint8)
        self.numbers: NDArray[np.int64] = np.empty((5, rows), np.int64)
        self.header_codes: NDArray[np.int32] = np.empty(rows, np.int32)

    def __len__(self) -> int:
        return self.rows - self._first

    @property
    def size(self) -> int:
        """In bytes: of keys, values, and headers that are not ours."""
        return self.used - (int(self.value_starts[0]) if len(self) else self.used) + self._odd_bytes

    @property
    def offsets(self) -> NDArray[np.int64]:
        return self.numbers[OFFSET, self._first : self.rows]

    @property
    def timestamps(self) -> NDArray[np.int64]:
        """Kafka's, in milliseconds since 1970 UTC."""
        return self.numbers[TIMESTAMP, self._first : self.rows]

    @property
    def value_starts(self) -> NDArray[np.int64]:
        return self.numbers[START, self._first : self.rows]

    @property
    def value_sizes(self) -> NDArray[np.int64]:
        return self.numbers[VALUE_SIZE, self._first : self.rows]

    @property
    def key_sizes(self) -> NDArray[np.int64]:
        return self.numbers[KEY_SIZE, self._first : self.rows]

    @property
    def header_codes_told(self) -> NDArray[np.int32]:
        return self.header_codes[self._first : self.rows]

    def value(self, place: int) -> bytes | None:
        start, size = self.value_starts[place], self.value_sizes[place]
        return None if size < 0 else self.data[start : start + size].tobytes()

    def key(self, place: int) -> bytes | None:
        start = self.value_starts[place] + max(self.value_sizes[place], 0)
        size = self.key_sizes[place]
        return None if size < 0 else self.data[start : start + size].tobytes()

    def headers(self, place: int) -> Headers:
        code = self.header_codes_told[place]
        return None if code == NO_HEADERS else _OURS if code == OUR_HEADERS else self._odd_headers[code - ODD_HEADERS]

    def append(self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Take a message from Python; `ingestion.librdkafka` takes them many at once."""
        content = (value or b"") + (key or b"")
        self.make_room(1, len(content))
        row, start = self.rows, self.used
        self.data[start : start + len(content)] = np.frombuffer(content, np.uint8)
        sizes = (-1 if value is None else len(value), -1 if key is None else len(key))
        self.numbers[:, row] = (offset, timestamp, start, *sizes)
        self.header_codes[row] = self._tell(headers)
        self.rows, self.used = row + 1, start + len(content)

    def make_room(self, rows: int, size: int) -> None:
        """See that so many more messages, with so many bytes of keys and values, find room."""
        if self.used + size + WORD > len(self.data):
            self.data = _grown(self.data, self.used, self.used + size + WORD)
        if self.rows + rows > len(self.header_codes):
            self.numbers = _grown(self.numbers, self.rows, self.rows + rows)
            self.header_codes = _grown(self.header_codes, self.rows, self.rows + rows)

    def drop_below(self, offset: int) -> None:
        """Let go of the messages below `offset`."""
        self._first += int(np.searchsorted(self.offsets, offset))

    def _tell(self, headers: Headers) -> int:
        if not headers:
            return NO_HEADERS
        if list(headers) == _OURS:
            return OUR_HEADERS
        if not self._odd_headers or self._odd_headers[-1] != headers:
            self._odd_headers.append(headers)
            self._odd_bytes += sum(len(name) + len(value or b"") for name, value in headers)
        return ODD_HEADERS + len(self._odd_headers) - 1


def _grown(array: NDArray, used: int, wanted: int) -> NDArray:
    grown = np.empty((*array.shape[:-1], max(wanted, 2 * array.shape[-1])), array.dtype)
    grown[..., :used] = array[..., :used]
    return grown
