"""How far the kernel may be from exact rational arithmetic, at any scale: bounds that follow from its operations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from bar_series import Floats, Series, computed, end_to_end, extreme_series, of_closes
from exact_oracle import Column, exactly
from hypothesis import given

from transform.indicators.kernel import OUTPUTS

ROUNDING = 2.0**-53
"""What one operation may be off by, as a share of its result."""
TINY = 2.0**-1060
"""The least floats are spaced evenly: below this nothing is a share of anything."""


def bounds(series: Series, exact: dict[str, Column]) -> dict[str, Floats]:
    """How far each value may be from the exact one.

    - Means are sums of what is not negative: n roundings of the mean itself, whatever the scale.
    - An EMA, Wilder's averages, and so RSI and ATR: each bar adds a few roundings of the value itself, and n bars n times that.
    - MACD is a difference of two EMAs: roundings of what they ever were, that is of the highest close so far.
    - Bollinger bands: roundings of the window's highest close. They do not know how deep the window's lowest is.
    - Price change and volatility: roundings of close / previous close, the window's highest.
    """
    bar = np.arange(1, len(series) + 1)
    highest = np.maximum.accumulate(series.close)
    ratio = np.concatenate(([1.0], series.close[1:] / series.close[:-1]))
    own = {name: abs(floats(exact[name])) for name in OUTPUTS}
    shares = {
        **{name: 24 * own[name] for name in ("sma_20", "mean_volume_20", "prior_mean_volume_20")},
        "sma_50": 54 * own["sma_50"],
        **{name: 6 * bar * own[name] for name in ("ema_12", "ema_26", "rsi_14", "atr_14")},
        **dict.fromkeys(("macd", "macd_signal", "macd_histogram"), 256 * highest),
        **{name: 64 * rolling_highest(series.close) for name in ("bollinger_upper_20", "bollinger_lower_20")},
        "volatility_20": 64 * rolling_highest(1 + ratio),
        "price_change_pct": 400 * (1 + ratio),
    }
    return {name: ROUNDING * share + TINY for name, share in shares.items()}


def rolling_highest(values: Floats) -> Floats:
    return np.array([values[max(0, last - 19) : last + 1].max() for last in range(values.size)])


def floats(column: Column) -> Floats:
    return np.array([0.0 if value is None else float(value) for value in column])


def assert_within_bounds(series: Series) -> None:
    ours, exact = computed(series), exactly(series)
    allowed = bounds(series, exact)
    for name in OUTPUTS:
        for bar, (value, truth, bound) in enumerate(zip(ours[name], exact[name], allowed[name], strict=True), 1):
            assert np.isnan(value) == (truth is None), f"{name} at bar {bar}: {value}, exactly {truth}"
            if truth is not None:
                off = abs(Fraction(float(value)) - truth)
                assert off <= bound, f"{name} at bar {bar}: {value}, exactly {float(truth)}, off by {float(off)}, not {bound}"


@given(extreme_series)
def test_every_value_is_within_its_bound_of_the_exact_one(series: Series) -> None:
    assert_within_bounds(series)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_bounds_hold_over_hundreds_of_bars_at_any_scale(scale: float) -> None:
    random = np.random.default_rng(11)
    close = scale * np.exp(random.normal(0, 0.03, 400).cumsum())
    high, low = close * (1 + random.uniform(0, 0.05, 400)), close * (1 - random.uniform(0, 0.05, 400))
    assert_within_bounds(Series(high, low, close, random.lognormal(10, 3, 400)))


def test_the_bounds_hold_where_huge_and_tiny_prices_take_turns() -> None:
    assert_within_bounds(of_closes([1e12, 1e-12] * 40, [1e15, 5e-324] * 40))


def test_one_jump_by_eight_digits_is_forgotten_by_every_window_it_has_left() -> None:
    calm = np.linspace(1.0, 2.0, 60)
    jumped, never = computed(of_closes([*calm, 1e8, *calm])), computed(of_closes([*calm, 1.5, *calm]))
    for name in ("sma_20", "bollinger_upper_20", "bollinger_lower_20", "volatility_20"):
        assert np.isfinite(jumped[name][82:]).all()
        np.testing.assert_array_equal(jumped[name][82:], never[name][82:], err_msg=name)
    np.testing.assert_array_equal(jumped["sma_50"][111:], never["sma_50"][111:])


def test_volumes_of_nothing_and_next_to_nothing_are_meant_exactly() -> None:
    assert (computed(of_closes([5.0] * 40, 0.0))["mean_volume_20"][19:] == 0).all()
    smallest = computed(of_closes([5.0] * 40, 5e-324))
    assert (smallest["mean_volume_20"][19:] == 5e-324).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_an_rsi_stays_what_it_was_for_as_long_as_nothing_moves(scale: float) -> None:
    """Gain and loss shrink alike, by 13/14 a bar, and keep their ratio until they are too small for floats: after 8,000 bars."""
    moved = of_closes(scale * np.array([100.0, 101.0, 99.0, *range(100, 120)]))
    halted = computed(end_to_end([moved, of_closes(np.full(8_000, moved.close[-1]))]))["rsi_14"]
    exact = exactly(moved)["rsi_14"][-1]
    assert exact is not None
    np.testing.assert_allclose(halted[22:], float(exact), rtol=8_000 * 6 * ROUNDING)


@pytest.mark.parametrize("last_move", [-1e-12, 1e-12, 50.0, -50.0])
def test_wilders_averages_may_fade_to_the_smallest_floats_and_an_rsi_is_still_one(last_move: float) -> None:
    moved = [100.0, 101.0, 99.0, *range(100, 130), 129.0 + last_move]
    halted = computed(of_closes([*moved, *([moved[-1]] * 30_000)]))
    rsi = halted["rsi_14"][14:]
    assert (np.isnan(rsi) | ((rsi >= 0) & (rsi <= 100))).all()
    for name in ("avg_gain", "avg_loss", "atr_14", "macd", "macd_signal", "macd_histogram", "ema_12", "ema_26"):
        assert np.isfinite(halted[name][33:]).all(), name
    assert abs(halted["macd"][-1]) <= 256 * ROUNDING * 200
    assert halted["atr_14"][-1] < 1e-300


def test_one_way_prices_have_an_rsi_of_exactly_nothing_or_a_hundred() -> None:
    up = [1.1**day for day in range(100)]
    assert (computed(of_closes(up))["rsi_14"][14:] == 100).all()
    assert (computed(of_closes(up[::-1]))["rsi_14"][14:] == 0).all()
