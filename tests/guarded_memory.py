"""Memory that ends where a message ends: reading on behind it kills the process, or raises where plain Python reads."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
from numpy.typing import NDArray

from ingestion import memory
from ingestion.memory import WORD

_ROOM = 16 * mmap.PAGESIZE
_NOBODY = 0  # PROT_NONE


class GuardedMemory:
    """Room for one message and the word behind it, with a page behind that nobody may read."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _ROOM + mmap.PAGESIZE)
        self._room = np.frombuffer(self._map, np.uint8, _ROOM)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(self._room.ctypes.data + _ROOM), mmap.PAGESIZE, _NOBODY) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, value: bytes) -> NDArray[np.uint8]:
        """The value and, behind it, a word that goes on as no value should be read to: digits, quotes and brackets."""
        data = self._room[_ROOM - len(value) - WORD :]
        data[: len(value)] = np.frombuffer(value, np.uint8)
        data[len(value) :] = np.frombuffer(b'0"}]0"}]', np.uint8)
        return data


class PlainReads:
    """`ingestion.memory` in plain Python, for when compiling is off: to be put in before the decoder is imported.

    Behind the end that `stop_at` gives, a byte is read too far; a word may begin there, and no later.
    """

    def __init__(self) -> None:
        self._base = self._end = 0

    def put_in(self) -> None:
        for name in ("byte", "word", "trailing_zeros"):
            setattr(memory, name, getattr(self, name))

    def stop_at(self, base: int, end: int) -> None:
        self._base, self._end = base, end

    def byte(self, base: int, at: int) -> int:
        assert base != self._base or 0 <= at < self._end, f"byte {at} of {self._end} is read"
        return ctypes.string_at(base + int(at), 1)[0]

    def word(self, base: int, at: int) -> np.uint64:
        assert base != self._base or 0 <= at <= self._end, f"a word at {at} of {self._end} is read"
        return np.uint64(int.from_bytes(ctypes.string_at(base + int(at), WORD), "little"))

    def trailing_zeros(self, word: np.uint64) -> np.uint64:
        return np.uint64((int(word) & -int(word)).bit_length() - 1)
