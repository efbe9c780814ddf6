"""Crossings and the 52-week range: against pandas, in whatever pieces the bars come, and what is no crossing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bar_series import computed, of_closes
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transform.indicators.kernel import OUTPUTS, advance, new_state
from transform.indicators.signal_arithmetic import RANGE_BARS
from transform.indicators.signals import SIGNALS, Signals

Floats = NDArray[np.float64]


def signals_of(closes: Floats, *, pieces: int = 1, is_daily: bool = True) -> dict[str, Floats]:
    """The signals of one series, whose highs and lows are 1 % off its closes, computed in so many pieces."""
    state, signals = new_state(1), Signals()
    signals.add(np.array([is_daily]))
    found = []
    for part in np.array_split(closes, pieces):
        bars = np.zeros(part.size, np.int64), part * 1.01, part * 0.99, part
        outputs, _ = advance(*bars, np.ones(part.size), state)
        found.append(signals.advance(*bars, outputs))
    return dict(zip(SIGNALS, np.concatenate(found, axis=1), strict=True))


def crossings(one: Floats, other: Floats) -> Floats:
    """1 and -1 where `one` crosses `other`, by pandas: nothing where either is missing, then or the bar before."""
    apart = pd.Series(one) - pd.Series(other)
    up, down = (apart > 0) & (apart.shift() <= 0), (apart < 0) & (apart.shift() >= 0)
    return (up.astype(float) - down.astype(float)).where(apart.notna() & apart.shift().notna()).to_numpy()


@pytest.fixture(scope="module")
def walk() -> Floats:
    return 100 * np.exp(np.random.default_rng(7).normal(0, 0.02, 1_500).cumsum())


def test_crossings_are_where_pandas_finds_them(walk: Floats) -> None:
    found, indicators = signals_of(walk), computed(of_closes(walk))
    np.testing.assert_array_equal(found["sma_cross"], crossings(indicators["sma_20"], indicators["sma_50"]))
    np.testing.assert_array_equal(found["macd_cross"], crossings(indicators["macd"], indicators["macd_signal"]))
    above = crossings(walk, indicators["bollinger_upper_20"])
    below = crossings(walk, indicators["bollinger_lower_20"])
    np.testing.assert_array_equal(found["bollinger_break"], np.where(np.isnan(above), above, 0 + (above == 1) - (below == -1)))
    assert {name: len(np.unique(found[name][~np.isnan(found[name])])) for name in SIGNALS[:3]} == dict.fromkeys(SIGNALS[:3], 3)


def test_the_range_is_that_of_the_252_bars_before(walk: Floats) -> None:
    found = signals_of(walk)
    np.testing.assert_array_equal(found["prior_high_252"], pd.Series(walk * 1.01).rolling(RANGE_BARS).max().shift().to_numpy())
    np.testing.assert_array_equal(found["prior_low_252"], pd.Series(walk * 0.99).rolling(RANGE_BARS).min().shift().to_numpy())


def test_only_daily_bars_have_a_range(walk: Floats) -> None:
    assert np.isnan(signals_of(walk, is_daily=False)["prior_high_252"]).all()


@given(st.integers(2, 60))
def test_bars_that_come_in_pieces_give_the_same_to_the_bit(pieces: int) -> None:
    closes = np.round(100 + 10 * np.sin(np.arange(600) / 7) + np.random.default_rng(3).normal(size=600), 1)
    for name, values in signals_of(closes).items():
        np.testing.assert_array_equal(signals_of(closes, pieces=pieces)[name], values, err_msg=name)


@pytest.mark.parametrize("price", [0.1, 1 / 3, 7.7, 1234.56])
def test_the_rounding_of_a_price_that_stands_still_crosses_nothing(price: float) -> None:
    rising, falling = price * np.linspace(0.5, 1, 80), price * np.linspace(2, 1, 80)
    for closes in (np.full(400, price), np.r_[rising, np.full(200, price)], np.r_[falling, np.full(200, price)]):
        found = signals_of(closes)
        still = slice(-130, None)  # both windows hold nothing but this price
        assert not np.nan_to_num(found["sma_cross"][still]).any()
        assert not np.nan_to_num(found["bollinger_break"][still]).any()


def test_a_tie_is_on_neither_side_and_leaving_it_crosses() -> None:
    up, level = np.r_[np.full(60, 10.0), 11.0], np.full(61, 10.0)
    assert signals_of(up)["bollinger_break"][-1] == 1
    assert signals_of(up)["sma_cross"][-1] == 1
    assert signals_of(level)["sma_cross"][-1] == 0
    high = signals_of(np.r_[np.full(RANGE_BARS, 10.0), 10.0])
    assert high["prior_high_252"][-1] == 10.0 * 1.01


def test_there_is_nothing_in_warm_up(walk: Floats) -> None:
    begins = {name: int(np.flatnonzero(~np.isnan(values))[0]) + 1 for name, values in signals_of(walk).items()}
    assert begins == {"sma_cross": 51, "macd_cross": 35, "bollinger_break": 21, "prior_high_252": 253, "prior_low_252": 253}
    assert OUTPUTS[0] == "sma_20"
