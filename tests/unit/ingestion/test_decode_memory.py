"""The compiled parser reads no byte beyond what it was given: what lies behind is a page that may not be read."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingesting import bar_message

from ingestion.decode.fast import parse
from ingestion.memory import WORD

_LIBC = ctypes.CDLL(None, use_errno=True)
_NO_ACCESS = 0


class Fenced:
    """A page of bytes before one that ends the process when it is read."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        self._bytes = np.frombuffer(self._map, np.uint8)
        fence = ctypes.c_void_p(self._bytes.ctypes.data + mmap.PAGESIZE)
        if _LIBC.mprotect(fence, mmap.PAGESIZE, _NO_ACCESS) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def at_its_end(self, content: bytes) -> np.ndarray:
        end = mmap.PAGESIZE
        self._bytes[end - len(content) : end] = np.frombuffer(content, np.uint8)
        return self._bytes[end - len(content) : end]


@pytest.fixture(scope="module")
def fenced() -> Iterator[Fenced]:
    yield Fenced()


@given(st.integers(0, 300), st.binary(max_size=40))
def test_a_message_cut_off_anywhere_is_read_to_its_end_and_no_further(fenced: Fenced, size: int, tail: bytes) -> None:
    value = bar_message(1)[:size] + tail
    data = fenced.at_its_end(value + b'"' * WORD)
    columns = parse(data, np.array([0]), np.array([len(value)]))
    assert columns.is_parsed[0] == (value.rstrip(b" \t\r\n") == bar_message(1)), "blanks may stand behind JSON"


def test_data_without_the_word_behind_is_refused(fenced: Fenced) -> None:
    value = bar_message(1)
    with pytest.raises(ValueError, match="word"):
        parse(fenced.at_its_end(value), np.array([0]), np.array([len(value)]))
