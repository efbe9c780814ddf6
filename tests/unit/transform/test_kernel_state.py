"""The kernel carries a series on: in pieces, bar by bar and among others it gives what it gives at once, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from bar_series import Floats, Series, computed, end_to_end, everyday_series, extreme_series, of_closes
from hypothesis import given, settings
from hypothesis import strategies as st

from transform.indicators.kernel import CARRIED, OUTPUTS, RECURSIONS, WINDOW_BARS, advance, new_state, restore

any_series = st.one_of(everyday_series, extreme_series)


def assert_same_bits(ours: dict[str, Floats], expected: dict[str, Floats]) -> None:
    assert ours.keys() == expected.keys() == {*OUTPUTS, *CARRIED}
    assert [name for name, values in ours.items() if values.tobytes() != expected[name].tobytes()] == []


def joined(parts: list[dict[str, Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@settings(max_examples=50)
@given(any_series, st.lists(st.integers(0, 240), max_size=6).map(sorted))
def test_a_series_cut_anywhere_equals_the_whole_to_the_bit(series: Series, cuts: list[int]) -> None:
    state = new_state(1)
    ends = [min(cut, len(series)) for cut in [*cuts, len(series)]]
    parts = [computed(series[begin:end], state) for begin, end in zip([0, *ends], ends, strict=False)]
    assert_same_bits(joined(parts), computed(series))


@settings(max_examples=30)
@given(any_series)
def test_a_series_taken_bar_by_bar_equals_the_whole_to_the_bit(series: Series) -> None:
    state = new_state(1)
    assert_same_bits(joined([computed(series[i : i + 1], state) for i in range(len(series))]), computed(series))


@settings(max_examples=50)
@given(st.lists(any_series, min_size=1, max_size=6), st.integers(0, 2**32 - 1), st.integers(0, 600))
def test_series_in_any_interleaving_are_each_what_they_are_alone(parts: list[Series], seed: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.permutation(len(parts))  # a series' row of the state says nothing of its place among the bars
    number = random.permutation(np.repeat(rows, [len(part) for part in parts]))
    place = np.empty(number.size, np.int64)
    for row, part, begin in zip(rows, parts, np.cumsum([0, *map(len, parts)]), strict=False):
        place[number == row] = np.arange(begin, begin + len(part))
    bars = end_to_end(parts)[place]
    state = new_state(len(parts))
    pieces = [
        np.concatenate(advance(number[piece], *bars[piece].columns, state)) for piece in (slice(0, cut), slice(cut, len(bars)))
    ]
    columns = dict(zip((*OUTPUTS, *CARRIED), np.concatenate(pieces, axis=1), strict=True))
    for row, part in zip(rows, parts, strict=True):
        assert_same_bits({name: values[number == row] for name, values in columns.items()}, computed(part))


@settings(max_examples=50)
@given(any_series.filter(lambda series: len(series) >= WINDOW_BARS), st.integers(0, 2**32 - 1))
def test_a_state_restored_from_what_is_stored_goes_on_as_the_one_that_was_kept(series: Series, seed: int) -> None:
    whole = computed(series)
    at = int(np.random.default_rng(seed).integers(WINDOW_BARS, len(series) + 1))
    last = series[at - WINDOW_BARS : at]
    stored = np.array([[whole[name][at - 1] for name in RECURSIONS]])
    state = new_state(1)
    restore(np.zeros(WINDOW_BARS, np.int64), last.close, last.volume, stored, state)
    assert_same_bits(computed(series[at:], state), {name: values[at:] for name, values in whole.items()})


def test_no_bars_give_no_values_and_leave_the_state_alone() -> None:
    state = new_state(1)
    computed(of_closes([3.0, 4.0, 5.0]), state)
    before = state.copy()
    nothing = computed(of_closes([]), state)
    assert {values.shape for values in nothing.values()} == {(0,)}
    assert state.tobytes() == before.tobytes()


def test_what_is_carried_on_is_a_number_the_fast_average_and_wilders_two() -> None:
    carried = computed(of_closes([float(day) for day in range(1, 41)]))
    np.testing.assert_array_equal(carried["bar_number"], np.arange(1, 41))
    np.testing.assert_allclose(carried["macd_fast"][25:], np.arange(26, 41) - 5.5, rtol=1e-14)
    np.testing.assert_array_equal(carried["avg_gain"][14:], 1)
    np.testing.assert_array_equal(carried["avg_loss"], 0)


VOLUME_ONLY = ("mean_volume_20", "prior_mean_volume_20")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_volume_that_is_no_number_spoils_the_means_it_is_in_and_nothing_else(bad: float) -> None:
    clean = of_closes(np.linspace(50, 60, 100), np.linspace(10, 20, 100))
    spoiled = Series(clean.high, clean.low, clean.close, clean.volume.copy())
    spoiled.volume[40] = bad
    ours, expected = computed(spoiled), computed(clean)
    for name in ours.keys() - set(VOLUME_ONLY):
        np.testing.assert_array_equal(ours[name], expected[name], err_msg=name)
    for name, first in zip(VOLUME_ONLY, (40, 41), strict=True):
        assert not np.isfinite(ours[name][first : first + 20]).any()
        spared = np.r_[0:first, first + 20 : 100]
        np.testing.assert_array_equal(ours[name][spared], expected[name][spared])


@pytest.mark.parametrize("bad", [0.0, -5.0, np.nan])
def test_a_price_validation_would_refuse_spoils_windows_only_while_it_is_in_them(bad: float) -> None:
    """Averages that remember for ever cannot forget a NaN; windows can, and what knows no price is spared."""
    clean = of_closes(np.linspace(50, 60, 120))
    close = clean.close.copy()
    close[40] = bad
    ours, expected = computed(of_closes(close)), computed(clean)
    for name, window in {
        "sma_20": 20,
        "sma_50": 50,
        "bollinger_upper_20": 20,
        "volatility_20": 21,
        "price_change_pct": 2,
    }.items():
        np.testing.assert_array_equal(ours[name][40 + window :], expected[name][40 + window :], err_msg=name)
        np.testing.assert_array_equal(ours[name][:40], expected[name][:40], err_msg=name)
    for name in (*VOLUME_ONLY, "bar_number"):
        np.testing.assert_array_equal(ours[name], expected[name], err_msg=name)
