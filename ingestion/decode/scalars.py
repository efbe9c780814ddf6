"""Times and numbers as bars write them, in compiled code: their values, or no answer where a careful look is needed."""

from __future__ import annotations

import numpy as np
from numba import njit

from ingestion.decode.decimals import nearest_float
from ingestion.memory import byte

_DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_DAYS_IN = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])

_COLON = 58
_MINUS, _PLUS, _POINT, _ZERO, _NINE, _E, _Z, _T = 45, 43, 46, 48, 57, 69, 90, 84
_LOWER = 32  # the bit that makes a capital a small letter
_LARGEST_EXACT = np.uint64(1 << 53)
_EXACT = np.array([float(10**power) for power in range(23)])
_LONGEST_MANTISSA = 19  # digits that fit 64 bits whatever they are


@njit(cache=True, nogil=True, error_model="numpy")
def _digits(base, at, count):
    """The number that `count` digits are; −1 when not all are digits."""
    value = 0
    for place in range(at, at + count):
        if byte(base, place) < _ZERO or byte(base, place) > _NINE:
            return -1
        value = 10 * value + (np.int64(byte(base, place)) - _ZERO)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def time(base, at, end):
    """The UTC microseconds of a time such as 2000-03-01T00:00:00Z, with up to six digits of a second's fraction."""
    size = end - at
    if size < 20 or size > 27 or size == 21 or byte(base, end - 1) != _Z or byte(base, at + 10) != _T:
        return False, 0
    if (
        byte(base, at + 4) != _MINUS
        or byte(base, at + 7) != _MINUS
        or byte(base, at + 13) != _COLON
        or byte(base, at + 16) != _COLON
    ):
        return False, 0
    year, month, day = _digits(base, at, 4), _digits(base, at + 5, 2), _digits(base, at + 8, 2)
    hour, minute, second = _digits(base, at + 11, 2), _digits(base, at + 14, 2), _digits(base, at + 17, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return False, 0
    is_leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    if day > _DAYS_IN[month - 1] + (is_leap and month == 2) or second < 0 or second > 59:
        return False, 0
    fraction = 0
    if size > 20:
        fraction = _digits(base, at + 20, size - 21)
        if byte(base, at + 19) != _POINT or fraction < 0:
            return False, 0
        for _ in range(27 - size):
            fraction *= 10
    past = year - 1
    days = 365 * past + past // 4 - past // 100 + past // 400 + _DAYS_BEFORE[month - 1] + (is_leap and month > 2) + day - 1
    return True, ((days - 719162) * 86400 + hour * 3600 + minute * 60 + second) * 1_000_000 + fraction


@njit(cache=True, nogil=True, error_model="numpy")
def number(base, at, end):
    """(where it ends, its float64, whether it is one: false for null); the end is −1 where it wants a careful look."""
    if (
        end - at >= 4
        and byte(base, at) == 110
        and byte(base, at + 1) == 117
        and byte(base, at + 2) == 108
        and byte(base, at + 3) == 108
    ):
        return at + 4, 0.0, False
    is_negative = at < end and byte(base, at) == _MINUS
    if is_negative:
        at += 1
    begin = at
    mantissa = np.uint64(0)
    while at < end and _ZERO <= byte(base, at) <= _NINE:
        mantissa = mantissa * np.uint64(10) + np.uint64(byte(base, at) - _ZERO)
        at += 1
    digits = at - begin
    if digits == 0 or (digits > 1 and byte(base, begin) == _ZERO):
        return -1, 0.0, False
    power = 0
    is_whole = True
    if at < end and byte(base, at) == _POINT:
        at += 1
        begin = at
        while at < end and _ZERO <= byte(base, at) <= _NINE:
            mantissa = mantissa * np.uint64(10) + np.uint64(byte(base, at) - _ZERO)
            at += 1
        power = begin - at
        digits -= power
        if power == 0:
            return -1, 0.0, False
        is_whole = False
    if digits > _LONGEST_MANTISSA:
        return -1, 0.0, False
    if at < end and byte(base, at) | _LOWER == _E | _LOWER:
        at += 1
        is_down = at < end and byte(base, at) == _MINUS
        if is_down or (at < end and byte(base, at) == _PLUS):
            at += 1
        begin = at
        while at < end and at - begin < 4 and _ZERO <= byte(base, at) <= _NINE:
            at += 1
        if at == begin or at - begin == 4:
            return -1, 0.0, False
        exponent = _digits(base, begin, at - begin)
        power += -exponent if is_down else exponent
        is_whole = False
    if mantissa <= _LARGEST_EXACT and -22 <= power <= 22:
        value = np.float64(mantissa)
        value = value * _EXACT[power] if power >= 0 else value / _EXACT[-power]
    else:
        is_told, value = nearest_float(mantissa, power)
        if not is_told:
            return -1, 0.0, False
    if is_negative and not (is_whole and mantissa == 0):
        value = -value
    return at, value, True
