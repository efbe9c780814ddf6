"""The kernel agrees with TA-Lib, an oracle nobody here wrote, and resumes to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lake import real_bars
from talib_oracle import Floats, by_talib

from transform.indicators.kernel import CARRIED, OUTPUTS, advance, new_state

prices = st.lists(st.one_of(st.floats(1, 1000), st.integers(90, 110).map(float), st.just(100.0)), min_size=1, max_size=120).map(
    np.array
)


def run(close: Floats, volume: Floats, state: Floats) -> tuple[Floats, Floats]:
    return advance(np.zeros(close.size, np.int64), close, close, close, volume, state)


def whole(close: Floats, volume: Floats) -> tuple[dict[str, Floats], Floats]:
    outputs, carried = run(close, volume, new_state(1))
    return dict(zip(OUTPUTS, outputs, strict=True)), carried


def volatility(close: Floats) -> Floats:
    """NumPy is the oracle here: TA-Lib's deviation is a difference of sums of squares, off by 1e-8 on returns."""
    returns = close[1:] / close[:-1] - 1
    return np.lib.stride_tricks.sliding_window_view(returns, 20).std(axis=1, ddof=1)


def assert_agree(ours: Floats, oracle: Floats, scale: float, what: str) -> None:
    assert np.array_equal(np.isnan(ours), np.isnan(oracle)), f"{what}: warm-up differs"
    known = ~np.isnan(ours)
    bound = 1e-9 * np.maximum(np.maximum(abs(ours[known]), abs(oracle[known])), scale)
    assert (abs(ours[known] - oracle[known]) <= bound).all(), what


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_talib_agrees_on_every_real_bar(symbol: str) -> None:
    bars = real_bars().query("symbol == @symbol")
    close, volume = bars["adj_close"].to_numpy(float), bars["volume"].to_numpy(float)
    ours, _ = whole(close, volume)
    for name, oracle in by_talib(close, volume).items():
        scale = volume.max() if name == "mean_volume_20" else 1.0
        assert_agree(ours[name], oracle, scale, f"{symbol} {name}")
    np.testing.assert_allclose(ours["volatility_20"][20:], volatility(close), rtol=1e-9)


@given(prices)
def test_talib_agrees_on_series_with_ties_and_flat_stretches(close: Floats) -> None:
    ours, _ = whole(close, close)
    oracle = by_talib(close, close)
    halted = np.isnan(ours["rsi_14"]) & (oracle["rsi_14"] == 0)
    oracle["rsi_14"] = np.where(halted, np.nan, oracle["rsi_14"])
    for name, values in oracle.items():
        assert_agree(ours[name], values, 1000.0, name)


def test_a_series_that_never_moved_has_no_rsi() -> None:
    flat = np.full(60, 7.0)
    ours, _ = whole(flat, flat)
    assert np.isnan(ours["rsi_14"]).all()
    assert (ours["volatility_20"][20:] == 0).all()


def test_the_prior_mean_leaves_the_bar_itself_out() -> None:
    volume = np.arange(1.0, 41.0)
    ours, _ = whole(np.full(40, 5.0), volume)
    assert np.isnan(ours["prior_mean_volume_20"][:20]).all()
    np.testing.assert_array_equal(ours["prior_mean_volume_20"][20:], ours["mean_volume_20"][19:-1])


@given(prices, hnp.arrays(float, 120, elements=st.floats(0, 1e9)), st.data())
def test_a_pass_that_stops_anywhere_and_goes_on_equals_the_whole_to_the_bit(
    close: Floats, volume: Floats, data: st.DataObject
) -> None:
    volume, state = volume[: close.size], new_state(1)
    expected, carried = whole(close, volume)
    at = data.draw(st.integers(0, close.size))
    begun, gone_on = run(close[:at], volume[:at], state), run(close[at:], volume[at:], state)
    np.testing.assert_array_equal(np.concatenate((begun[0], gone_on[0]), axis=1), list(expected.values()))
    np.testing.assert_array_equal(np.concatenate((begun[1], gone_on[1]), axis=1), carried)
    assert len(carried) == len(CARRIED)
