"""Decimal text to the nearest float64, in compiled code: exactly what `float` gives, or no answer."""

from __future__ import annotations

import numpy as np
from numba import njit

_SMALLEST, _LARGEST = -300, 280
"""Powers of ten that are answered: no result is subnormal, or beyond a float64."""


def _powers_of_ten() -> np.ndarray:
    """The 128 leading bits of 10^e, rounded down, for each power: (high, low)."""
    table = np.empty((_LARGEST - _SMALLEST + 1, 2), np.uint64)
    for row, power in enumerate(range(_SMALLEST, _LARGEST + 1)):
        value = 10**power if power >= 0 else (1 << 1200) // 10**-power
        bits = value.bit_length()
        leading = value >> bits - 128 if bits >= 128 else value << 128 - bits
        table[row] = leading >> 64, leading & (1 << 64) - 1
    return table


_POWERS = _powers_of_ten()
_EXACT = np.array([float(10**power) for power in range(23)])
_LOW_32 = np.uint64(0xFFFFFFFF)
_LOW_9 = np.uint64(0x1FF)


@njit(cache=True, inline="always")
def _multiply(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The 128 bits of a × b: (high, low)."""
    half = np.uint64(32)
    a_high, a_low, b_high, b_low = a >> half, a & _LOW_32, b >> half, b & _LOW_32
    low = a_low * b_low
    first = a_high * b_low + (low >> half)
    second = a_low * b_high + (first & _LOW_32)
    return a_high * b_high + (first >> half) + (second >> half), a * b


@njit(cache=True)
def nearest_float(mantissa: np.uint64, power: int) -> tuple[bool, float]:
    """The float64 nearest to mantissa × 10^power; (False, 0) in the rare cases where 128 bits cannot tell.

    Small numbers by one exact operation (W. D. Clinger, "How to read floating point numbers accurately", 1990), the
    others by the algorithm of M. Eisel and D. Lemire ("Number parsing at a gigabyte per second", 2021).
    """
    if mantissa == 0:
        return True, 0.0
    if mantissa <= np.uint64(1 << 53) and -22 <= power <= 22:
        value = np.float64(mantissa)
        return True, (value * _EXACT[power] if power >= 0 else value / _EXACT[-power])
    if power < _SMALLEST or power > _LARGEST:
        return False, 0.0
    shift = 0
    while mantissa < np.uint64(1 << 63):
        mantissa <<= np.uint64(1)
        shift += 1
    exponent = ((217706 * power) >> 16) + 64 + 1023 - shift
    high, low = _multiply(mantissa, _POWERS[power - _SMALLEST, 0])
    if high & _LOW_9 == _LOW_9 and low + mantissa < mantissa:
        more_high, more_low = _multiply(mantissa, _POWERS[power - _SMALLEST, 1])
        merged = low + more_high
        if merged < low:
            high += np.uint64(1)
        low = merged
        if high & _LOW_9 == _LOW_9 and low + np.uint64(1) == 0 and more_low + mantissa < mantissa:
            return False, 0.0
    top = high >> np.uint64(63)
    bits = high >> (top + np.uint64(9))
    exponent -= 1 ^ np.int64(top)
    if low == 0 and high & _LOW_9 == 0 and bits & np.uint64(3) == np.uint64(1):
        return False, 0.0  # half-way between two floats, or nearly so
    bits = (bits + (bits & np.uint64(1))) >> np.uint64(1)
    if bits >> np.uint64(53) > 0:
        bits >>= np.uint64(1)
        exponent += 1
    if exponent <= 0 or exponent >= 0x7FF:
        return False, 0.0
    encoded = np.empty(1, np.uint64)
    encoded[0] = (np.uint64(exponent) << np.uint64(52)) | (bits & np.uint64((1 << 52) - 1))
    return True, encoded.view(np.float64)[0]
