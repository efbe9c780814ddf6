"""Reading memory by address in compiled code. Nothing here checks an address: whoever calls knows what lies there."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

WORD = 8
"""Bytes of a word."""

memcpy = types.ExternalFunction("memcpy", types.uintp(types.uintp, types.uintp, types.uintp))
"""C's: to where, from where, how many bytes."""


@intrinsic
def pointer(typing_context, address):
    """An address as a pointer, for `carray`."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.uintp), generate


@intrinsic
def trailing_zeros(typing_context, word):
    """How many of a word's low bits are zero, before the first that is not."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def byte(base, at):
    return carray(pointer(np.uintp(base + at)), 1, np.uint8)[0]


@njit(cache=True, nogil=True, inline="always")
def word(base, at):
    """Eight bytes, the first of them lowest."""
    return carray(pointer(np.uintp(base + at)), 1, np.uint64)[0]


@njit(cache=True, nogil=True, inline="always")
def int32(address):
    return carray(pointer(np.uintp(address)), 1, np.int32)[0]


@njit(cache=True, nogil=True, inline="always")
def int64(address):
    return carray(pointer(np.uintp(address)), 1, np.int64)[0]


@njit(cache=True, nogil=True)
def are_equal(base, one, other, size):
    """Whether so many bytes are the same in two places; up to seven behind them are read, and do not count."""
    at = 0
    while at + WORD <= size:
        if word(base, one + at) != word(base, other + at):
            return False
        at += WORD
    return at == size or (word(base, one + at) ^ word(base, other + at)) & low_bytes(size - at) == 0


@njit(cache=True, nogil=True, inline="always")
def low_bytes(count):
    """A word whose `count` low bytes are ones, of one to seven."""
    return (np.uint64(1) << np.uint64(8 * count)) - np.uint64(1)
