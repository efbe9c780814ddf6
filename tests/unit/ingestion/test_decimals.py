"""Numbers in compiled code: the nearest float64, as Python reads it, or no answer."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.decode.decimals import nearest_float


def read(mantissa: int, power: int) -> tuple[bool, float]:
    return nearest_float(np.uint64(mantissa), power)


@given(st.integers(0, 2**64 - 1), st.integers(-400, 400))
@example(2**53 + 1, 0)
@example(9007199254740993, 0)
@example(2**64 - 1, 280)
@example(1, -300)
@example(22250738585072014, -324)
def test_an_answer_is_the_nearest_float64(mantissa: int, power: int) -> None:
    is_told, value = read(mantissa, power)
    assert not is_told or value == float(f"{mantissa}e{power}")


@given(st.floats(min_value=1e-250, max_value=1e250))
def test_a_float64_as_python_writes_it_is_read_back_or_left_to_others(value: float) -> None:
    digits, _, exponent = f"{value!r}e0".partition("e")
    whole, _, fraction = digits.removesuffix(".0").partition(".")
    power = int(exponent.split("e")[0]) - len(fraction)
    is_told, found = read(int(whole + fraction), power)
    assert not is_told or found == value


@given(st.integers(0, 2**53), st.integers(0, 22))
def test_prices_of_any_usual_precision_are_answered(digits: int, places: int) -> None:
    assert read(digits, -places) == (True, float(f"{digits}e-{places}"))


@given(st.integers(2**52, 2**53 - 1))
def test_half_way_between_two_floats_there_is_the_even_one_or_no_answer(bits: int) -> None:
    is_told, value = read(2 * bits + 1, 0)
    assert not is_told or value == float(2 * bits + 1)
    assert read(2 * bits, 0) == (True, float(2 * bits))


def test_what_is_subnormal_or_beyond_is_left_to_others() -> None:
    smallest = struct.unpack("d", struct.pack("Q", 1 << 52))[0]
    assert smallest == 2.2250738585072014e-308
    assert read(22250738585072014, -324) == (False, 0.0)
    assert read(1, 309) == (False, 0.0)
    assert read(0, 999) == (True, 0.0)
