"""Whether the bar that is due is there, and how late it is in the market's own time: a function of values, and of no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tickhouse.bar import INTERVALS
from tickhouse.settings import FreshnessSettings
from transform.freshness.schedule import DueBar, Schedule


class Status(StrEnum):
    """What is to be said of a series, the gravest first; only `stale` is a fault."""

    STALE = "stale"
    UNKNOWN = "unknown"
    FRESH = "fresh"
    REPLAYED = "replayed"
    RETIRED = "retired"


@dataclass(frozen=True)
class Series:
    """A series whose bars land, and the start of its newest one, UTC."""

    symbol: str
    interval: str
    newest_ts: datetime


@dataclass(frozen=True)
class Landing:
    """How a series landed: the shortest time from the end of a bar to its landing, and when its newest message came (UTC)."""

    promptest: timedelta
    newest_at: datetime


@dataclass(frozen=True)
class Verdict:
    """What is said of a series, and why.

    `due` is the newest bar that there should be; None where that is not known. `late` is by how much market time a stale
    series is behind it, in `late_unit`: sessions of daily and weekly bars, minutes in which the exchange trades of others.
    """

    series: Series
    status: Status
    reason: str
    due: DueBar | None = None
    late: int = 0
    landing: Landing | None = None

    @property
    def late_unit(self) -> str:
        return "sessions" if _is_daily(self.series.interval) else "open minutes"


def due_bar(series: Series, schedule: Schedule | None, rules: FreshnessSettings, now: datetime) -> DueBar | None:
    """The newest bar of the series that there should be at `now` (UTC): one that ended at least the allowed delay before."""
    if schedule is None:
        return None
    delay = (
        timedelta(hours=rules.daily_delay_hours)
        if _is_daily(series.interval)
        else timedelta(minutes=rules.intraday_delay_minutes)
    )
    return schedule.due_bar(series.interval, series.newest_ts, now - delay)


def is_behind(series: Series, schedule: Schedule | None, rules: FreshnessSettings, now: datetime) -> bool:
    """Whether the bar that is due is not there: then it matters how the series landed."""
    due = due_bar(series, schedule, rules, now)
    return due is not None and series.newest_ts < due.ts


def judge(series: Series, schedule: Schedule | None, landing: Landing | None, rules: FreshnessSettings, now: datetime) -> Verdict:
    """What is to be said of a series at `now` (UTC). `schedule` is None where no calendar is known, `landing` where it is not.

    A series that is behind is stale if it is live: if ever a bar of it landed within `rules.live_within_hours` of its end. One
    that never did is history that was replayed, and nobody promised that it goes on.
    """
    if series.symbol in rules.retired_symbols:
        return Verdict(series, Status.RETIRED, "settings expect no more bars of it")
    due = due_bar(series, schedule, rules, now)
    if schedule is None or due is None:
        return Verdict(series, Status.UNKNOWN, _UNKNOWN_EXCHANGE if schedule is None else _UNKNOWN_DAY, landing=landing)
    if series.newest_ts >= due.ts:
        return Verdict(series, Status.FRESH, "the bar that is due is there", due, landing=landing)
    if landing is None:
        return Verdict(series, Status.UNKNOWN, _UNKNOWN_LANDING, due)
    if landing.promptest > timedelta(hours=rules.live_within_hours):
        return Verdict(series, Status.REPLAYED, _REPLAYED, due, landing=landing)
    return Verdict(series, Status.STALE, _STALE, due, _late(series, schedule, due), landing)


_UNKNOWN_EXCHANGE = "when it trades is not known: the seed `instrument` names no exchange with a calendar for it"
_UNKNOWN_DAY = "its exchange's calendar does not reach to now"
_UNKNOWN_LANDING = "it is behind, and whether it ever was live is not known: this machine's warehouse does not hold its bars"
_STALE = "it is live, and the bar that is due is missing"
_REPLAYED = "history: every bar of it landed long after its end"


def _late(series: Series, schedule: Schedule, due: DueBar) -> int:
    length = timedelta(seconds=INTERVALS[series.interval])
    if series.interval == "1d":
        return schedule.sessions_between(series.newest_ts, due.ts)
    if series.interval == "1w":
        last_day = timedelta(days=6)
        return schedule.sessions_between(series.newest_ts + last_day, due.ts + last_day)
    return schedule.open_minutes(series.newest_ts + length, due.ended_at)


def _is_daily(interval: str) -> bool:
    return interval in ("1d", "1w")
