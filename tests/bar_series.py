"""Bars of one series as arrays, what the kernel makes of them, and made-up ones for property tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from transform.indicators.kernel import CARRIED, OUTPUTS, advance, new_state

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """The bars of one series in the order of time, on the price basis."""

    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return self.close.size

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Series:
        return Series(*(values[rows] for values in self.columns))

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.high, self.low, self.close, self.volume


def of_closes(closes: Sequence[float] | Floats, volumes: Sequence[float] | Floats | float = 1000.0) -> Series:
    """Bars that know no price but their close."""
    close = np.asarray(closes, dtype=float)
    return Series(close, close, close, np.broadcast_to(np.asarray(volumes, dtype=float), close.shape).copy())


def end_to_end(parts: Sequence[Series]) -> Series:
    """The bars of all parts, one part after the other."""
    return Series(*(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True)))


def computed(series: Series, state: Floats | None = None) -> dict[str, Floats]:
    """What the kernel gives for each bar, by column: from the first bar on, or from `state`, which is advanced."""
    if state is None:
        state = new_state(1)
    outputs, carried = advance(np.zeros(len(series), np.int64), *series.columns, state)
    return dict(zip((*OUTPUTS, *CARRIED), (*outputs, *carried), strict=True))


@dataclass(frozen=True)
class Stretch:
    """So many bars of one behaviour; prices go on from the stretch before."""

    kind: str
    bars: int
    seed: int
    jump: float


def _closes(stretch: Stretch, before: float, random: np.random.Generator) -> Floats:
    if stretch.kind == "flat":
        return np.full(stretch.bars, before)
    if stretch.kind == "jump":
        return np.full(stretch.bars, before * stretch.jump)
    if stretch.kind == "zigzag":
        return np.where(np.arange(stretch.bars) % 2 == 0, before * stretch.jump, before)
    if stretch.kind == "ticks":  # few prices: many ties
        return np.maximum(before / 100, before + before / 100 * random.integers(-1, 2, stretch.bars).cumsum())
    return before * np.exp(random.normal(0, 0.02, stretch.bars).cumsum())


def laid_out(first: float, stretches: Sequence[Stretch], lowest: float, highest: float) -> Series:
    """The bars of all stretches, prices held within `lowest` and `highest`."""
    parts = []
    before = first
    for stretch in stretches:
        random = np.random.default_rng(stretch.seed)
        close = np.clip(_closes(stretch, before, random), lowest, highest)
        opened = np.concatenate(([before], close[:-1]))
        wide = 0.0 if stretch.kind == "flat" else 0.01
        high = np.maximum(opened, close) * (1 + wide * random.random(stretch.bars))
        low = np.minimum(opened, close) * (1 - wide * random.random(stretch.bars))
        volume = (
            random.choice([0.0, 1.0, 1e-300, 1e9], stretch.bars)
            if stretch.seed % 3 == 0
            else random.lognormal(10, 2, stretch.bars)
        )
        kept = random.random(stretch.bars) >= 0.1 if stretch.seed % 5 == 0 else np.ones(stretch.bars, bool)  # gaps: no rows
        parts.append(Series(high, low, close, volume)[kept])
        before = float(close[-1])
    return end_to_end(parts)


def _stretches(jumps: st.SearchStrategy[float]) -> st.SearchStrategy[list[Stretch]]:
    kinds = st.sampled_from(["walk", "flat", "ticks", "jump", "zigzag"])
    return st.lists(st.builds(Stretch, kinds, st.integers(1, 60), st.integers(0, 2**16), jumps), min_size=1, max_size=5)


everyday_series = st.builds(
    laid_out, st.floats(5, 500), _stretches(st.floats(0.5, 2)), lowest=st.just(0.5), highest=st.just(20_000.0)
).filter(len)
"""Prices as exchanges know them, with ties, flat stretches, gaps and splits."""

extreme_series = st.builds(
    laid_out,
    st.sampled_from([1e-12, 1e-6, 1.0, 1e6, 1e12]),
    _stretches(st.sampled_from([1e-8, 1e8, 1e-16, 1e16, 1 + 2**-52, 0.1, 7.0])),
    lowest=st.just(1e-12),
    highest=st.just(1e12),
).filter(len)
"""Prices from 1e-12 to 1e12 that jump and alternate 1e16-fold, and volumes from none to 1e9 with 1e-300 between."""
