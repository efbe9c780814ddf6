"""The kernel agrees with TA-Lib, an oracle nobody here wrote, on real bars and on made-up ones."""

from __future__ import annotations

import numpy as np
import pytest
from bar_series import Floats, Series, computed, end_to_end, everyday_series, of_closes
from exact_oracle import exactly, nearest
from hypothesis import given, settings
from real_series import SOURCES, shared_data
from talib_oracle import by_talib

from transform.indicators.kernel import OUTPUTS, advance, new_state

NO_PRICE = ("rsi_14", "volatility_20", "price_change_pct", "mean_volume_20", "prior_mean_volume_20")
"""Measured by their own size alone, save below a millionth: a return is told from 1, to 16 digits."""


def differ(name: str, ours: Floats, theirs: Floats, close: Floats) -> Floats:
    """Which bars are apart by more than 1 part in 10⁹ of the value, or of the close where it is a price."""
    scale = np.full(close.size, 1e-6) if name in NO_PRICE else close
    apart = abs(ours - theirs) > 1e-9 * np.maximum(np.maximum(abs(ours), abs(theirs)), scale)
    return apart | (np.isnan(ours) != np.isnan(theirs))


@pytest.mark.parametrize("source", ["demo", *(pytest.param(name, marks=shared_data) for name in SOURCES if name != "demo")])
def test_talib_agrees_on_every_real_bar(source: str) -> None:
    parts = list(SOURCES[source]().values())
    bars = end_to_end(parts)
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    outputs, _ = advance(number, *bars.columns, new_state(len(parts)))
    oracle = [by_talib(part) for part in parts]
    for name, ours in zip(OUTPUTS, outputs, strict=True):
        theirs = np.concatenate([values[name] for values in oracle])
        assert np.flatnonzero(differ(name, ours, theirs, bars.close)).tolist() == [], name


@settings(max_examples=200)
@given(everyday_series)
def test_talib_agrees_on_made_up_bars_or_exact_arithmetic_tells_it_wrong(series: Series) -> None:
    """It is wrong where nothing ever moved; and where a window is far smaller than what it once held, as volumes are."""
    ours, theirs = computed(series), by_talib(series)
    exact = None
    for name, values in theirs.items():
        apart = differ(name, ours[name], values, series.close)
        if apart.any():
            exact = exact or exactly(series)
            truth = nearest(exact[name])
            assert not differ(name, ours[name], truth, series.close).any(), name


def test_talib_calls_what_never_moved_oversold_and_the_kernel_gives_no_rsi() -> None:
    halted = of_closes([7.0] * 60)
    assert (by_talib(halted)["rsi_14"][14:] == 0).all()
    assert np.isnan(computed(halted)["rsi_14"]).all()


@pytest.mark.parametrize("name", ["sma_20", "bollinger_upper_20", "mean_volume_20"])
def test_talibs_running_sums_remember_a_jump_and_the_kernels_windows_do_not(name: str) -> None:
    """TA-Lib adds the newest and takes off the oldest: what a jump's size rounds away stays away."""
    values = [*np.linspace(1.1, 1.9, 30), 1e10 / 3, *np.linspace(1.1, 1.9, 60)]
    jumped = of_closes(values, values)
    exact = nearest(exactly(jumped)[name])
    assert abs(by_talib(jumped)[name] / exact - 1)[60:].max() > 1e-8
    np.testing.assert_allclose(computed(jumped)[name], exact, rtol=1e-15)
