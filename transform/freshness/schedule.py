"""When an exchange trades, and so which bar of a series is due by a given time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tickhouse.bar import INTERVALS
from transform.sessions import EVERY_DAY, SAME_DAYS, known_calendar

if TYPE_CHECKING:
    import pandas as pd

Minutes = NDArray[np.int64]
"""Minutes since 1970-01-01 00:00 UTC."""

_DAY = 24 * 60
_WEEK = 7 * _DAY
_PERIODS_BACK = 4


@dataclass(frozen=True)
class DueBar:
    """A bar that has ended: its start, and its end by the exchange's schedule, both UTC."""

    ts: datetime
    ended_at: datetime


class Schedule:
    """The sessions of one exchange: their days, their closes, and the stretches in which it trades, a lunch break left out.

    Days, `opened` and `ended` are minutes since 1970 in order, a day as its 00:00 UTC; an early close is a close. Nothing is
    known of days after `last_date`.
    """

    def __init__(self, days: Minutes, closes: Minutes, opened: Minutes, ended: Minutes, last_date: date) -> None:
        self.days = days
        self.last_date = last_date
        self._closes = closes
        self._opened = opened
        self._ended = ended
        self._before = np.concatenate(([0], np.cumsum(ended - opened)))
        self._due: dict[tuple[str, int | None, datetime], DueBar | None] = {}

    def due_bar(self, interval: str, newest_ts: datetime, by: datetime) -> DueBar | None:
        """The newest bar of the interval that has ended by then (UTC), where the series of `newest_ts` has its bars.

        A daily bar ends when its session closes, a weekly one when the last session of its week does; one of minutes or hours
        holds the minutes in which the exchange trades, and ends with the last of them. None where the schedule does not
        say: for days after the last that is known, or before the first.
        """
        if by.date() > self.last_date:
            return None
        key = (interval, self._grid(interval, newest_ts), by)
        if key not in self._due:
            self._due[key] = self._find(interval, key[1], _minutes(by))
        return self._due[key]

    def open_minutes(self, start: datetime, end: datetime) -> int:
        """In how many minutes from `start` on, before `end`, the exchange trades."""
        return max(0, self._open_until(_minutes(end)) - self._open_until(_minutes(start)))

    def sessions_between(self, after: datetime, until: datetime) -> int:
        """How many sessions there are on days after that of `after`, up to that of `until`; days are UTC dates."""
        first, last = np.searchsorted(self.days, [_minutes(after), _minutes(until)], side="right")
        return max(0, int(last - first))

    def _open_until(self, minute: int) -> int:
        index = int(np.searchsorted(self._opened, minute, side="right"))
        if index == 0:
            return 0
        return int(self._before[index]) - max(0, int(self._ended[index - 1]) - minute)

    def _grid(self, interval: str, newest_ts: datetime) -> int | None:
        """Where bars of the series begin: minutes into a week, or into a bar's length since 1970; None is with the opening."""
        ts = _minutes(newest_ts)
        if interval == "1d":
            return 0
        if interval == "1w":
            return ts % _WEEK
        length = INTERVALS[interval] // 60
        index = int(np.searchsorted(self._opened, ts, side="right")) - 1
        is_with_opening = index >= 0 and ts < self._ended[index] and (ts - self._opened[index]) % length == 0
        return None if is_with_opening else ts % length

    def _find(self, interval: str, grid: int | None, by: int) -> DueBar | None:
        if interval in ("1d", "1w"):
            closed = int(np.searchsorted(self._closes, by, side="right")) - 1
            return self._closed_day(closed) if interval == "1d" else self._closed_week(closed, grid or 0)
        return self._ended_bar(INTERVALS[interval] // 60, grid, by)

    def _closed_day(self, session: int) -> DueBar | None:
        return None if session < 0 else _due(int(self.days[session]), int(self._closes[session]))

    def _closed_week(self, session: int, grid: int) -> DueBar | None:
        """The week of that session if it was its last; else the week of the last session before."""
        weeks = (self.days - grid) // _WEEK
        if 0 <= session < len(weeks) - 1 and weeks[session + 1] == weeks[session]:
            session = int(np.searchsorted(weeks, weeks[session])) - 1
        return None if session < 0 else _due(int(weeks[session]) * _WEEK + grid, int(self._closes[session]))

    def _ended_bar(self, length: int, grid: int | None, by: int) -> DueBar | None:
        """A bar that reaches over a break ends with what it holds of the stretch after it."""
        ends: dict[int, int] = {}
        stretch = int(np.searchsorted(self._opened, by + length, side="right"))
        for opened, ended in zip(self._opened[:stretch][-_PERIODS_BACK:], self._ended[:stretch][-_PERIODS_BACK:], strict=True):
            first = opened if grid is None else opened - (opened - grid) % length
            for start in range(int(first), int(ended), length):
                ends[start] = max(ends.get(start, 0), min(start + length, int(ended)))
        newest = max((start for start, end in ends.items() if end <= by), default=None)
        return None if newest is None else _due(newest, ends[newest])


def schedule_of(kind: str, mic: str, today: date) -> Schedule | None:
    """When an instrument of this kind and exchange trades, to the end of next year; None where no calendar tells it."""
    name = EVERY_DAY if kind == "crypto" else SAME_DAYS.get(mic, mic)
    return _schedule(name, today.year + 1)


@cache
def _schedule(name: str, last_year: int) -> Schedule | None:
    known = known_calendar(name, last_year)
    if known is None:
        return None
    table = known.calendar.schedule
    stretches = sorted(
        {
            *zip(_column(table["open"]), _column(table["break_start"].fillna(table["close"])), strict=True),
            *zip(_column(table["break_end"].fillna(table["open"])), _column(table["close"]), strict=True),
        }
    )
    opened, ended = np.array(stretches, np.int64).T
    return Schedule(_column(table.index), _column(table["close"]), opened, ended, known.last_date)


def _column(times: pd.Series | pd.DatetimeIndex) -> Minutes:
    import pandas as pd

    return pd.DatetimeIndex(times).as_unit("s").asi8 // 60


def _minutes(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _due(ts: int, ended: int) -> DueBar:
    begun = datetime(1970, 1, 1, tzinfo=UTC)
    return DueBar(begun + timedelta(minutes=ts), begun + timedelta(minutes=ended))
