"""Freshness follows the market: held against the minutes that exchange_calendars itself calls open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhouse.bar import INTERVALS
from tickhouse.settings import FreshnessSettings
from transform.freshness.gaps import missing_days
from transform.freshness.schedule import DueBar, Schedule, schedule_of
from transform.freshness.verdict import Landing, Series, Status, Verdict, judge

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

TODAY = date(2026, 6, 1)
AT_ONCE = FreshnessSettings(daily_delay_hours=0, intraday_delay_minutes=0)
PROMPT = Landing(timedelta(minutes=1), datetime(2026, 1, 1, tzinfo=UTC))
LONG_AFTER = Landing(timedelta(days=4700), datetime(2026, 1, 1, tzinfo=UTC))
EXCHANGES = ("XNYS", "XHKG", "XTKS", "XETR", "24/7")


def schedule(exchange: str) -> Schedule:
    found = schedule_of("crypto" if exchange == "24/7" else "stock", exchange, TODAY)
    assert found is not None
    return found


@cache
def oracle(exchange: str) -> ExchangeCalendar:
    return exchange_calendars.get_calendar(exchange, start="2023-12-01", end="2025-12-31")


def utc(text: str, zone: str = "UTC") -> datetime:
    return pd.Timestamp(text, tz=zone).tz_convert("UTC").to_pydatetime()


def verdict(
    newest: str, now: datetime, *, exchange: str = "XNYS", interval: str = "1d", landing: Landing | None = PROMPT
) -> Verdict:
    return judge(Series("A", interval, utc(newest)), schedule(exchange), landing, AT_ONCE, now)


@pytest.mark.parametrize("now", ["2025-07-05 12:00", "2025-07-06 23:00", "2025-07-07 15:59", "2025-07-04 20:00"])
def test_no_red_saturday_sunday_holiday_or_monday_before_the_close(now: str) -> None:
    assert verdict("2025-07-03", utc(now, "America/New_York")).status is Status.FRESH


def test_a_live_feed_that_stopped_three_trading_days_ago_is_red_and_counts_no_day_off() -> None:
    after_thanksgiving = utc("2024-12-01 12:00", "America/New_York")
    found = verdict("2024-11-25", after_thanksgiving)
    assert (found.status, found.late, found.late_unit) == (Status.STALE, 3, "sessions"), "Tuesday, Wednesday, half of Friday"


def test_a_half_days_bar_is_due_at_its_early_close() -> None:
    assert oracle("XNYS").session_close("2024-11-29") == pd.Timestamp("2024-11-29 13:00", tz="America/New_York")
    minute = timedelta(minutes=1)
    early_close = utc("2024-11-29 13:00", "America/New_York")
    assert verdict("2024-11-27", early_close - minute).status is Status.FRESH
    assert verdict("2024-11-27", early_close).status is Status.STALE
    last_minute = "2024-11-29 17:59"
    assert verdict(last_minute, early_close + timedelta(days=2), interval="1m").status is Status.FRESH
    assert verdict("2024-11-29 17:58", early_close, interval="1m").late == 1


def test_crypto_is_due_on_sunday() -> None:
    sunday = utc("2025-07-06 10:00")
    assert verdict("2025-07-05", sunday, exchange="24/7").status is Status.FRESH
    assert verdict("2025-07-04", sunday, exchange="24/7").status is Status.STALE
    assert verdict("2025-07-06 08:59", sunday, exchange="24/7", interval="1m").late == 60


def test_a_lunch_break_ages_nothing() -> None:
    for now, late in (("12:59", 0), ("13:01", 1), ("13:30", 30)):
        found = verdict("2025-03-04 03:59", utc(f"2025-03-04 {now}", "Asia/Hong_Kong"), exchange="XHKG", interval="1m")
        assert found.late == late, now


@pytest.mark.parametrize(
    ("exchange", "interval", "newest", "now", "due", "ended"),
    [
        ("XNYS", "1h", "07-08 18:30", "07-08 20:00", "07-08 19:30", "07-08 20:00"),  # with the opening: the last is half an hour
        ("XNYS", "1h", "07-08 18:30", "07-08 19:59", "07-08 18:30", "07-08 19:30"),
        ("XNYS", "1h", "07-08 18:00", "07-08 19:59", "07-08 18:00", "07-08 19:00"),  # by the clock
        ("XNYS", "4h", "07-08 13:30", "07-08 20:00", "07-08 17:30", "07-08 20:00"),
        ("XNYS", "4h", "07-07 16:00", "07-08 16:00", "07-08 12:00", "07-08 16:00"),  # begins before the opening
        ("XHKG", "1h", "03-04 01:30", "03-04 04:00", "03-04 03:30", "03-04 04:00"),  # the last before lunch
        ("XHKG", "1h", "03-04 03:30", "03-04 06:00", "03-04 05:00", "03-04 06:00"),  # and the first after it
        ("XHKG", "4h", "03-03 23:00", "03-04 04:30", "03-03 23:00", "03-04 03:00"),  # the next one reaches over lunch
        ("XHKG", "4h", "03-03 23:00", "03-04 07:00", "03-04 03:00", "03-04 07:00"),
    ],
)
def test_a_bar_of_hours_ends_with_the_last_minute_of_trading_that_it_holds(
    exchange: str, interval: str, newest: str, now: str, due: str, ended: str
) -> None:
    found = schedule(exchange).due_bar(interval, utc(f"2025-{newest}"), utc(f"2025-{now}"))
    assert found == DueBar(utc(f"2025-{due}"), utc(f"2025-{ended}"))


def test_the_clocks_change_and_nothing_is_late() -> None:
    for day, open_utc in (("2025-03-07", "14:30"), ("2025-03-10", "13:30"), ("2025-10-31", "13:30"), ("2025-11-03", "14:30")):
        opening = utc(f"{day} {open_utc}")
        due = schedule("XNYS").due_bar("1h", opening, opening + timedelta(hours=1))
        assert due is not None
        assert due.ts == opening


def test_a_replay_of_history_is_green_by_when_it_landed_and_one_that_was_live_once_is_not() -> None:
    now = utc("2026-01-07 12:00")
    assert verdict("2013-03-01", now, landing=LONG_AFTER).status is Status.REPLAYED
    assert verdict("2013-03-01", now, landing=PROMPT).status is Status.STALE
    assert verdict("2026-01-06", now, landing=LONG_AFTER).status is Status.FRESH
    at_the_edge = Landing(timedelta(hours=AT_ONCE.live_within_hours), now)
    assert verdict("2013-03-01", now, landing=at_the_edge).status is Status.STALE


def test_what_is_not_known_is_never_red_and_says_so() -> None:
    now = utc("2026-01-07 12:00")
    series = Series("A", "1d", utc("2013-03-01"))
    for found in (
        judge(series, None, PROMPT, AT_ONCE, now),
        judge(series, schedule("XNYS"), None, AT_ONCE, now),
        judge(series, schedule("XNYS"), PROMPT, AT_ONCE, utc("2028-01-03")),
    ):
        assert found.status is Status.UNKNOWN
        assert "know" in found.reason or "does not reach" in found.reason
    assert schedule_of("stock", "XXXX", TODAY) is None


def test_of_a_retired_symbol_nothing_is_expected() -> None:
    rules = FreshnessSettings(retired_symbols=("A",))
    found = judge(Series("A", "1d", utc("2022-06-08")), schedule("XNYS"), PROMPT, rules, utc("2026-01-07"))
    assert found.status is Status.RETIRED


def test_the_delay_is_what_settings_allow() -> None:
    closed = utc("2025-07-08 16:00", "America/New_York")
    for interval, newest, delay in (("1d", "2025-07-07", timedelta(hours=6)), ("1m", "2025-07-08 19:58", timedelta(minutes=15))):
        series = Series("A", interval, utc(newest))
        almost, over = (
            judge(series, schedule("XNYS"), PROMPT, FreshnessSettings(), closed + delay + timedelta(seconds=seconds)).status
            for seconds in (-1, 0)
        )
        assert (almost, over) == (Status.FRESH, Status.STALE), interval


def bars_of(calendar: ExchangeCalendar, interval: str, now: datetime, *, is_with_opening: bool, phase: int) -> dict[int, int]:
    """Every bar near `now` that a feed without fault has: start and end in minutes, grouped from the minutes that are open."""
    length = INTERVALS[interval] // 60
    minutes = calendar.minutes_in_range(pd.Timestamp(now) - pd.Timedelta(days=14), pd.Timestamp(now) + pd.Timedelta(days=2))
    opened = minutes.to_numpy(dtype="datetime64[m]").astype(np.int64)
    if interval == "1d":
        days = opened // (24 * 60) * 24 * 60  # in these exchanges' sessions UTC's date is their own
        starts = days
    elif is_with_opening:
        begins = np.concatenate(([True], np.diff(opened) > 1))
        run_start = opened[np.flatnonzero(begins)][np.cumsum(begins) - 1]
        starts = run_start + (opened - run_start) // length * length
    else:
        starts = opened - (opened - phase) % length
    return {int(start): int(end) for start, end in zip(starts, opened + 1, strict=True)}


@given(
    exchange=st.sampled_from(EXCHANGES),
    interval=st.sampled_from(["1m", "5m", "30m", "1h", "4h", "1d"]),
    now=st.datetimes(datetime(2024, 1, 15), datetime(2025, 12, 20), timezones=st.just(UTC)),
    is_with_opening=st.booleans(),
    skipped=st.integers(0, 5),
)
def test_what_is_due_and_how_late_it_is_agree_with_the_minutes_that_are_open(
    exchange: str, interval: str, now: datetime, is_with_opening: bool, skipped: int
) -> None:
    calendar = oracle(exchange)
    bars = bars_of(calendar, interval, now, is_with_opening=is_with_opening and exchange != "24/7", phase=0)
    ended = sorted(start for start, end in bars.items() if end <= now.timestamp() // 60)
    begun = pd.Timestamp(0, tz="UTC")
    newest = (begun + pd.Timedelta(minutes=ended[-1 - skipped])).to_pydatetime()
    found = judge(Series("A", interval, newest), schedule(exchange), PROMPT, AT_ONCE, now)
    assert found.status is (Status.STALE if found.late else Status.FRESH)
    assert found.status is Status.FRESH or skipped, "a feed without fault is never red"
    assert found.due is not None
    if found.due.ts >= newest:
        end = pd.Timestamp(found.due.ended_at)
        if interval == "1d":
            assert found.late == skipped
        else:
            covered = pd.Timestamp(newest) + pd.Timedelta(seconds=INTERVALS[interval])
            inside = calendar.minutes_in_range(covered, end - pd.Timedelta(minutes=1)) if covered < end else []
            assert found.late == len(inside)
    if interval in ("1m", "5m", "1d"):
        assert found.due.ts == begun + pd.Timedelta(minutes=ended[-1]), "these have one grid"
        assert found.due.ended_at == begun + pd.Timedelta(minutes=bars[ended[-1]])


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_series_without_fault_stays_green_for_weeks_of_holidays(exchange: str) -> None:
    calendar = oracle(exchange)
    for now in pd.date_range("2024-12-20", "2025-01-06", freq="37min", tz="UTC"):
        sessions = calendar.closes[calendar.closes <= now]
        newest = sessions.index[-1].tz_localize("UTC").to_pydatetime()
        found = judge(Series("A", "1d", newest), schedule(exchange), PROMPT, AT_ONCE, now.to_pydatetime() + timedelta(seconds=1))
        assert found.status is Status.FRESH
        assert found.due is not None
        assert (found.due.ts, found.due.ended_at) == (newest, sessions.iloc[-1])


@pytest.mark.parametrize("first_day", ["2024-12-16", "2024-12-15", "2024-12-20"])
def test_a_week_is_due_when_its_last_session_has_closed(first_day: str) -> None:
    """Weeks begin where the series' weeks do: on Monday, as those that are derived here, or on another day."""
    calendar = oracle("XNYS")
    first = pd.Timestamp(first_day)
    for now in pd.date_range("2025-01-01", "2025-01-31", freq="5h", tz="UTC"):
        weeks = (calendar.sessions - first) // pd.Timedelta(days=7)
        last = calendar.closes.groupby(weeks).max()
        newest_week = last[last <= now].index[-1]
        due = schedule("XNYS").due_bar("1w", first.tz_localize("UTC").to_pydatetime(), now.to_pydatetime())
        assert due is not None
        assert (due.ts, due.ended_at) == ((first + newest_week * pd.Timedelta(days=7)).tz_localize("UTC"), last[newest_week])


@given(exchange=st.sampled_from(EXCHANGES), taken=st.sets(st.integers(0, 298)), off=st.sets(st.integers(0, 500)))
def test_missing_days_are_the_sessions_between_that_have_no_bar(exchange: str, taken: set[int], off: set[int]) -> None:
    sessions = oracle(exchange).sessions
    kept = sessions[:300].delete(sorted(taken))
    days = kept.union(sessions[0] + pd.to_timedelta(sorted(off), unit="D"))
    inside = sessions[(sessions >= days.min()) & (sessions <= days.max())]
    found = missing_days(days.to_numpy(dtype="datetime64[D]"), schedule(exchange))
    assert pd.DatetimeIndex(found).tolist() == inside.difference(days).tolist()
