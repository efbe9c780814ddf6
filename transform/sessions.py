"""Exchange calendars as tables of the warehouse: on which days each exchange traded, for the models that look for gaps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

EVERY_DAY = "24/7"
"""What stands for the exchange of instruments that are always traded: those whose kind is crypto."""

SAME_DAYS = {"XNSE": "XBOM", "XSHE": "XSHG"}
"""Exchanges without a calendar in exchange_calendars, and the one of the same country that is open on the same days.

India's two announce the same holidays, and so do Shanghai and Shenzhen.
"""

_FIRST = date(1960, 1, 1)

_TABLES = """
create table if not exists control.calendar (
    mic varchar primary key,
    calendar varchar not null,
    first_date date not null,
    last_date date not null,
    build_seq bigint not null,
    fingerprint varchar not null
);
create table if not exists control.session (mic varchar not null, session_date date not null);
"""


@dataclass(frozen=True)
class Calendar:
    """The sessions of an exchange, days of its own clocks in order, from `first_date` to `last_date`: what is known of it."""

    mic: str
    name: str
    first_date: date
    last_date: date
    sessions: pa.Array


def register_calendars(
    connection: duckdb.DuckDBPyConnection, build_seq: int, instruments: Iterable[Mapping[str, str]], today: date
) -> None:
    """Make `control.calendar` and `control.session` hold the calendars of the instruments' exchanges.

    `instruments` are rows of the seed. The calendars go from 1960, or as far back as what is known of an exchange, to the end of
    next year. They are made again only when the instruments, the library or the year is another; `build_seq` then is the build
    from which on models have to look at them anew.
    """
    connection.execute(_TABLES)
    fingerprint = _fingerprint(instruments := list(instruments), today.year)
    stored = connection.execute("select max(fingerprint) from control.calendar").fetchall()[0][0]
    if stored == fingerprint:
        return
    mics = sorted({EVERY_DAY, *(row["mic"] for row in instruments)})
    calendars = _calendars(tuple((mic, SAME_DAYS.get(mic, mic)) for mic in mics), today.year + 1)
    connection.execute("delete from control.calendar; delete from control.session")
    connection.executemany(
        "insert into control.calendar values (?, ?, ?, ?, ?, ?)",
        [(each.mic, each.name, each.first_date, each.last_date, build_seq, fingerprint) for each in calendars],
    )
    sessions = pa.concat_tables(
        pa.table({"mic": pa.repeat(each.mic, len(each.sessions)), "session_date": each.sessions}) for each in calendars
    )
    connection.from_arrow(sessions).insert_into("control.session")


def _fingerprint(instruments: list[Mapping[str, str]], year: int) -> str:
    exchanges = [[row["symbol"], row["kind"], row["mic"]] for row in instruments]
    return json.dumps([version("exchange_calendars"), SAME_DAYS, year, exchanges])


@cache
def _calendars(exchanges: tuple[tuple[str, str], ...], last_year: int) -> tuple[Calendar, ...]:
    """Those of the exchanges, each with its calendar's name, that there are; made once a process, for it takes a second."""
    found = (_calendar(mic, name, last_year) for mic, name in exchanges)
    return tuple(calendar for calendar in found if calendar is not None)


def _calendar(mic: str, name: str, last_year: int) -> Calendar | None:
    known = known_calendar(name, last_year)
    if known is None:
        return None
    return Calendar(mic, name, known.first_date, known.last_date, pa.array(known.calendar.sessions.date, pa.date32()))


@dataclass(frozen=True)
class KnownCalendar:
    """A calendar of exchange_calendars with all that it knows from `first_date` to `last_date`."""

    calendar: ExchangeCalendar
    first_date: date
    last_date: date


@cache
def known_calendar(name: str, last_year: int) -> KnownCalendar | None:
    """From 1960, or as far back as it goes, to the end of `last_year` or of what it knows; made once a process.

    None where exchange_calendars has no such calendar: what cannot be known is not guessed.
    """
    import exchange_calendars  # half a second, and only a first build pays it
    from exchange_calendars.errors import InvalidCalendarName

    try:
        known = exchange_calendars.get_calendar(name, start="2020-01-01", end="2020-03-01")
    except InvalidCalendarName:
        return None
    earliest, latest = type(known).bound_min(), type(known).bound_max()
    first = _FIRST if earliest is None else max(_FIRST, earliest.date())
    last = date(last_year, 12, 31) if latest is None else min(date(last_year, 12, 31), latest.date())
    return KnownCalendar(exchange_calendars.get_calendar(name, start=first, end=last), first, last)
