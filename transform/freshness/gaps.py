"""Trading days without a bar, by symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.freshness.look import Schedules
from transform.freshness.schedule import Schedule
from transform.snapshot.read import Snapshot, SnapshotReader

Days = NDArray[np.datetime64]
"""Days of the exchange's own clocks, in any order."""

_DAYS = "select symbol, list(cast(ts as date)) as days from fct_indicator where interval = '1d' group by symbol"


@dataclass(frozen=True)
class Gaps:
    """A symbol's trading days without a daily bar, in order; never none."""

    symbol: str
    days: tuple[date, ...]


@dataclass(frozen=True)
class GapsFound:
    """Symbols with gaps, in order; of `looked_at` symbols. Of `unknown` ones no calendar says when they trade."""

    gaps: tuple[Gaps, ...]
    looked_at: int
    unknown: tuple[str, ...]

    @property
    def days(self) -> int:
        """How many there are, of all symbols."""
        return sum(len(each.days) for each in self.gaps)


def missing_days(days: Days, schedule: Schedule) -> Days:
    """The sessions between the first and the last of the days that are none of them, in order, as far as the schedule knows."""
    sessions = schedule.days.astype("datetime64[m]").astype("datetime64[D]")
    return np.setdiff1d(sessions[(sessions >= days.min()) & (sessions <= days.max())], days)


def find_gaps(settings: Settings, storage: Storage, now: datetime) -> GapsFound:
    """The gaps in the newest snapshot's daily bars, landed or derived: before a symbol's first and after its last there are none.

    Raises SnapshotUnavailableError.
    """
    with SnapshotReader(storage, settings.cache_path).pin() as snapshot:
        if snapshot is None:
            return GapsFound((), 0, ())
        schedules = Schedules(snapshot, now)
        gaps, looked_at, unknown = [], 0, []
        for symbol, days in _days_by_symbol(snapshot):
            if (schedule := schedules.of(symbol)) is None:
                unknown.append(symbol)
                continue
            looked_at += 1
            if (missing := missing_days(days, schedule)).size:
                gaps.append(Gaps(symbol, tuple(missing.tolist())))
    return GapsFound(tuple(sorted(gaps, key=lambda each: each.symbol)), looked_at, tuple(sorted(unknown)))


def _days_by_symbol(snapshot: Snapshot) -> Iterator[tuple[str, Days]]:
    for batch in snapshot.stream(_DAYS):
        for symbol, days in zip(batch.column("symbol"), batch.column("days"), strict=True):
            yield symbol.as_py(), days.values.to_numpy(zero_copy_only=False).astype("datetime64[D]")
