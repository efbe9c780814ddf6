"""A feed that is made up: as many symbols and bars as wanted, the same from the same seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.sources.bars import FEED_SCHEMA
from ingestion.sources.feed import PIECE_ROWS
from ingestion.sources.mapping import SourceError
from tickhouse.bar import INTERVALS

SOURCE = "synthetic"
START = datetime(2000, 1, 3, tzinfo=UTC)
LEAST_PRICE, GREATEST_PRICE = 0.01, 1e9

_FORMAT = 1  # one more whenever the same arguments give other bars: a resumed replay would mix the two
_TICKS_A_UNIT = 100.0
_DAY_SECONDS = 86_400
_YEAR_SECONDS = 365 * _DAY_SECONDS
_SYMBOL_STREAM, _STEP_STREAM, _DETAIL_STREAM = range(3)
_USUAL_PRICE, _PRICE_SPREAD = 50.0, 0.8
_USUAL_DAILY_VOLUME, _VOLUME_SPREAD, _VOLUME_NOISE = 2_000_000.0, 1.0, 0.5
_OPENING_GAP = 0.1
_END = datetime(2200, 1, 1, tzinfo=UTC)

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SyntheticFeed:
    """Geometric Brownian motion: `bars` bars of each of `symbols` independent symbols, ordered by (ts, symbol).

    `drift` and `volatility` are a year's, as fractions, scaled to the interval. The market never closes, as crypto's: bars
    follow each other without a gap from `start` (UTC), and a year has 365 days. Prices are whole ticks of 0.01. A bar opens
    near its predecessor's close, and its high and low have the exact distribution of what a Brownian path from open to close
    reaches. Volumes are whole numbers, larger where the price moves more. The same arguments give the same bars to the bit,
    with any NumPy whose random generators are the same.

    A piece is some bars of every symbol: in memory are about max(`PIECE_ROWS`, `symbols`) rows at a time, however long the
    feed. Raises SourceError for arguments that make no feed.
    """

    symbols: int = 100
    interval: str = "1m"
    bars: int = 1_440
    seed: int = 0
    start: datetime = START
    drift: float = 0.05
    volatility: float = 0.4

    def __post_init__(self) -> None:
        if self.interval not in INTERVALS:
            raise SourceError(f"{self.interval!r} is not an interval; they are {', '.join(INTERVALS)}")
        if self.symbols < 1 or self.bars < 1 or self.seed < 0:
            raise SourceError("a synthetic feed needs at least one symbol and one bar, and a seed of 0 or more")
        if not (0 < self.volatility <= 10 and -10 <= self.drift <= 10):  # NaN is neither
            raise SourceError("volatility and drift are fractions a year: volatility above 0 and up to 10, drift from -10 to 10")
        self._check_times()

    @property
    def rows(self) -> int:
        """How many bars there are, of all symbols."""
        return self.symbols * self.bars

    def identity(self) -> str:
        """A digest of the arguments."""
        arguments = repr(sorted(asdict(self).items())).encode()
        return f"synthetic-{_FORMAT}-{hashlib.sha256(arguments).hexdigest()}"

    def pieces(self, first_row: int = 0) -> Iterator[pa.Table]:
        """The bars from row `first_row` on. Passing over what is before costs a random number a bar."""
        steps = np.random.default_rng([self.seed, _STEP_STREAM])
        before, volumes = self._symbol_traits()
        height = max(1, PIECE_ROWS // self.symbols)
        for first_bar in range(0, self.bars, height):
            drawn = steps.standard_normal((min(height, self.bars - first_bar), self.symbols))
            closes = np.cumsum(np.vstack([before, self._trend + self._spread * drawn]), axis=0)
            skipped = first_row - first_bar * self.symbols
            if skipped < drawn.size:
                yield self._piece(first_bar, closes, volumes).slice(max(skipped, 0))
            before = closes[-1]

    def _piece(self, first_bar: int, logs: Numbers, usual_volumes: Numbers) -> pa.Table:
        """The bars from `first_bar` on, of every symbol. `logs` are their closes' logarithms, the closes before them first."""
        random = np.random.default_rng([self.seed, _DETAIL_STREAM, first_bar])
        before, closes = logs[:-1], logs[1:]
        opens = before + _OPENING_GAP * self._spread * random.standard_normal(closes.shape)
        # P(the path's maximum > m) = exp(-2 (m - open) (m - close) / spread²), solved for m; the minimum likewise.
        reaches = np.sqrt((closes - opens) ** 2 + 2 * self._spread**2 * random.standard_exponential((2, *closes.shape)))
        highs, lows = (opens + closes + reaches[0]) / 2, (opens + closes - reaches[1]) / 2
        noise = _VOLUME_NOISE * random.standard_normal(closes.shape)
        volumes = np.rint(usual_volumes * np.exp(noise) * (0.2 + np.abs(closes - before) / self._spread))
        prices = {"open": _prices(opens), "high": _prices(highs), "low": _prices(lows), "close": _prices(closes)}
        return self._table(first_bar, {**prices, "volume": volumes})

    def _table(self, first_bar: int, numbers: dict[str, Numbers]) -> pa.Table:
        bars, symbols = numbers["close"].shape
        times = self._first_time + np.arange(first_bar, first_bar + bars, dtype=np.int64) * self._interval_microseconds
        columns = {
            "symbol": pa.concat_arrays([self._names] * bars),
            "interval": pa.repeat(pa.scalar(self.interval), bars * symbols),
            "ts": pa.array(np.repeat(times, symbols)).cast(FEED_SCHEMA.field("ts").type),
            "adj_close": pa.nulls(bars * symbols, pa.float64()),
            "source": pa.repeat(pa.scalar(SOURCE), bars * symbols),
            **{name: pa.array(values.ravel()) for name, values in numbers.items()},
        }
        return pa.table([columns[name] for name in FEED_SCHEMA.names], schema=FEED_SCHEMA)

    def _symbol_traits(self) -> tuple[Numbers, Numbers]:
        """Each symbol's first price's logarithm, and its usual volume in one bar."""
        random = np.random.default_rng([self.seed, _SYMBOL_STREAM])
        first = math.log(_USUAL_PRICE) + _PRICE_SPREAD * random.standard_normal(self.symbols)
        share = INTERVALS[self.interval] / _DAY_SECONDS
        return first, _USUAL_DAILY_VOLUME * share * np.exp(_VOLUME_SPREAD * random.standard_normal(self.symbols))

    @property
    def _trend(self) -> float:
        return (self.drift - self.volatility**2 / 2) * INTERVALS[self.interval] / _YEAR_SECONDS

    @property
    def _spread(self) -> float:
        return self.volatility * math.sqrt(INTERVALS[self.interval] / _YEAR_SECONDS)

    @property
    def _interval_microseconds(self) -> int:
        return INTERVALS[self.interval] * 1_000_000

    @property
    def _first_time(self) -> int:
        return int(self.start.timestamp()) * 1_000_000

    @cached_property
    def _names(self) -> pa.Array:
        """Of one width, so that their order is that of their numbers."""
        width = max(4, len(str(self.symbols - 1)))
        return pa.array([f"SYN{number:0{width}}" for number in range(self.symbols)])

    def _check_times(self) -> None:
        if self.start.tzinfo is None:
            raise SourceError(f"the start {self.start} has no time zone")
        if self.start.timestamp() % min(INTERVALS[self.interval], _DAY_SECONDS):
            raise SourceError(
                f"bars of {self.interval} start at whole multiples of it in UTC, and {self.start.isoformat()} is none"
            )
        if (_END - self.start) / timedelta(seconds=INTERVALS[self.interval]) < self.bars:
            raise SourceError(f"{self.bars:,} bars of {self.interval} from {self.start:%Y-%m-%d} on end after {_END:%Y}")


def bars_in(days: float, interval: str) -> int:
    """How many bars of `interval` begin in so many days. Raises SourceError when there is no such interval."""
    if interval not in INTERVALS:
        raise SourceError(f"{interval!r} is not an interval; they are {', '.join(INTERVALS)}")
    return math.ceil(days * _DAY_SECONDS / INTERVALS[interval])


def _prices(logs: Numbers) -> Numbers:
    """Whole ticks; the division makes each the float64 nearest to its decimal."""
    ticks = np.rint(np.exp(logs) * _TICKS_A_UNIT)
    return np.clip(ticks / _TICKS_A_UNIT, LEAST_PRICE, GREATEST_PRICE)
