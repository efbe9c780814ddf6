"""The kernel agrees with TA-Lib, an oracle nobody here wrote, and resumes to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lake import real_bars
from talib_oracle import Floats, by_talib

from transform.indicators.kernel import OUTPUTS, STATE, advance

prices = st.lists(st.one_of(st.floats(1, 1000), st.integers(90, 110).map(float), st.just(100.0)), min_size=1, max_size=120).map(
    np.array
)


def whole(close: Floats, volume: Floats) -> tuple[dict[str, Floats], Floats]:
    rows = np.array([0]), np.array([0]), np.array([close.size])
    outputs, states = advance(*rows, close, volume, np.zeros((1, len(STATE))))
    return dict(zip(OUTPUTS, outputs, strict=True)), states


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
def test_a_pass_resumed_anywhere_equals_the_whole_to_the_bit(close: Floats, volume: Floats, data: st.DataObject) -> None:
    volume = volume[: close.size]
    expected, states = whole(close, volume)
    at = data.draw(st.integers(1, close.size))
    first = max(0, at - 50)
    rows = np.array([0]), np.array([at - first]), np.array([close.size - first])
    outputs, resumed = advance(*rows, close[first:], volume[first:], states[:, at - 1].reshape(1, -1).copy())
    for name, values in zip(OUTPUTS, outputs, strict=True):
        np.testing.assert_array_equal(values[at - first :], expected[name][at:], err_msg=name)
    np.testing.assert_array_equal(resumed[:, at - first :], states[:, at:])


def test_series_laid_side_by_side_do_not_touch() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.uniform(10, 20, 80), rng.uniform(100, 200, 30)
    both = np.concatenate((a, b))
    first, end = np.array([0, 80]), np.array([80, 110])
    outputs, _ = advance(first, first.copy(), end, both, both, np.zeros((2, len(STATE))))
    for values, alone_a, alone_b in zip(outputs, whole(a, a)[0].values(), whole(b, b)[0].values(), strict=True):
        np.testing.assert_array_equal(values, np.concatenate((alone_a, alone_b)))
