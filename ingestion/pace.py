"""How fast a replay goes: as fast as Kafka takes it, at a rate, or by the bars' own time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tickhouse.settings import ProducerSettings

SLICE_ROWS = 1_024
"""Bars are sent in slices of at most so many, with a look at the clock after each."""

_SLICES_A_SECOND = 50
_CATCH_UP_SECONDS = 1.0

Clock = Callable[[], float]


class Pace:
    """As fast as possible; the others slow it down. Times are seconds on the clock that is handed in."""

    def slice_ends(self, bars: pa.Table) -> list[int]:
        """Where `bars` are cut into slices: the rows after each one's last, the last of them `bars.num_rows`."""
        return _ends(bars.num_rows, SLICE_ROWS)

    def due(self, event_time: int, rows: int) -> float:
        """When the next slice is to be sent; its first bar's `ts` is `event_time` (microseconds). Asked once for each."""
        return 0.0

    def end(self) -> float:
        """When the time of the slices that were asked for is over."""
        return 0.0


class RatePace(Pace):
    """So many bars a second, evenly. Time lost is made up for, at most a second of it."""

    def __init__(self, bars_per_second: float, clock: Clock = time.monotonic) -> None:
        self._rate = bars_per_second
        self._clock = clock
        self._next = clock()

    def slice_ends(self, bars: pa.Table) -> list[int]:
        """Small slices: 50 a second, or one a bar."""
        return _ends(bars.num_rows, max(1, min(SLICE_ROWS, int(self._rate / _SLICES_A_SECOND))))

    def due(self, event_time: int, rows: int) -> float:
        """After the slices before it had their time."""
        due = max(self._next, self._clock() - _CATCH_UP_SECONDS)
        self._next = due + rows / self._rate
        return due

    def end(self) -> float:
        """After the last slice had its time too."""
        return self._next


class SpeedPace(Pace):
    """So many times as fast as the bars' own time went by: at 60 a minute of bars takes a second.

    The first bar is sent at once, and so is the first of every round of a loop. A gap in the feed is waited for.
    Time lost is made up for, at most a second of it.
    """

    def __init__(self, speed: float, clock: Clock = time.monotonic) -> None:
        self._microseconds_a_second = speed * 1e6
        self._clock = clock
        self._zero: float | None = None  # when the event time 0 would be due
        self._last = 0

    def slice_ends(self, bars: pa.Table) -> list[int]:
        """Slices whose bars are due in the same fiftieth of a second."""
        if bars.num_rows == 0:
            return []
        ticks = bars["ts"].to_numpy().astype("datetime64[us]").astype(np.int64) // (
            self._microseconds_a_second / _SLICES_A_SECOND
        )
        changes = np.flatnonzero(np.diff(ticks)) + 1
        return sorted({*changes.tolist(), *_ends(bars.num_rows, SLICE_ROWS)})

    def due(self, event_time: int, rows: int) -> float:
        """When the event time comes."""
        now = self._clock()
        if self._zero is None or event_time < self._last:
            self._zero = now - event_time / self._microseconds_a_second
        self._last = event_time
        due = self._zero + event_time / self._microseconds_a_second
        self._zero += max(0.0, now - _CATCH_UP_SECONDS - due)
        return due


def choose_pace(settings: ProducerSettings, clock: Clock = time.monotonic) -> Pace:
    """The pace that `producer.rate` or `producer.speed` asks for."""
    if settings.rate is not None:
        return RatePace(settings.rate, clock)
    return Pace() if settings.speed is None else SpeedPace(settings.speed, clock)


def _ends(rows: int, size: int) -> list[int]:
    return [min(end, rows) for end in range(size, rows + size, size)]
