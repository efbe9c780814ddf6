"""Which published value is asked for, and what there is instead when there is no such value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any

from tickhouse.bar import INTERVALS
from transform.marts import FCT_INDICATOR_SCHEMA
from transform.proof.rules import MEASURED
from transform.snapshot.read import Snapshot

_LISTED = 12


class UnknownValueError(ValueError):
    """Nothing that is published is what was asked for; the message says what there is."""


@dataclass(frozen=True)
class Question:
    """A value of a bar of (symbol, interval) from `start` on, before `until`, UTC. `column` may be an alert rule's name."""

    symbol: str
    interval: str
    start: datetime
    until: datetime
    column: str

    @classmethod
    def of(cls, symbol: str, when: str, column: str, interval: str) -> Question:
        """The question that people write so; `when` is a date, or a time in ISO 8601. Raises UnknownValueError."""
        if column not in FCT_INDICATOR_SCHEMA.names and column not in MEASURED:
            raise UnknownValueError(
                f"there is no column {column!r}{_meant(column, [*FCT_INDICATOR_SCHEMA.names, *MEASURED])}: "
                f"it is one of {', '.join(FCT_INDICATOR_SCHEMA.names)}, or an alert rule: {', '.join(MEASURED)}"
            )
        if interval not in INTERVALS:
            raise UnknownValueError(f"there is no interval {interval!r}: it is one of {', '.join(INTERVALS)}")
        return cls(symbol, interval, *_span(when), column)


def published_bar(snapshot: Snapshot, question: Question) -> dict[str, Any] | None:
    """The bar's row of `fct_indicator`, None when nothing such is published.

    Raises UnknownValueError for an unknown symbol or interval, and when several bars are meant.
    """
    held = {row["interval"]: row["bars"] for row in _intervals(snapshot, question.symbol)}
    if question.interval not in held:
        raise UnknownValueError(_without_series(snapshot, question, held))
    found = snapshot.query(
        "select * replace (coalesce(is_closed, true) as is_closed) from fct_indicator "
        "where symbol = $symbol and interval = $interval and ts >= $start and ts < $until order by ts",
        {"symbol": question.symbol, "interval": question.interval, "start": question.start, "until": question.until},
    ).to_pylist()
    if len(found) > 1:
        raise UnknownValueError(
            f"{question.symbol} has {len(found):,} bars of {question.interval} on {question.start:%Y-%m-%d}, "
            f"from {time_text(found[0]['ts'])} to {time_text(found[-1]['ts'])}: say which, such as {time_text(found[0]['ts'])}"
        )
    return found[0] if found else None


def missing_text(snapshot: Snapshot, question: Question) -> str:
    """That there is no such bar, and the nearest that there are."""
    bound = {"symbol": question.symbol, "interval": question.interval, "start": question.start}
    nearest = snapshot.query(
        "select max(ts) filter (where ts < $start) as before, min(ts) filter (where ts >= $start) as after "
        "from fct_indicator where symbol = $symbol and interval = $interval",
        bound,
    ).to_pylist()[0]
    near = [f"{time_text(nearest[side])} {side} it" for side in ("before", "after") if nearest[side] is not None]
    wanted = f"{question.interval} bar of {question.symbol} at {time_text(question.start)}"
    return f"snapshot {snapshot.manifest.number} has no {wanted}; the nearest: {' and '.join(near)}"


def time_text(ts: datetime) -> str:
    """A date where that says it all, else a time in UTC."""
    return f"{ts:%Y-%m-%d}" if ts.time() == time.min else f"{ts:%Y-%m-%dT%H:%M}" if ts.second == 0 else f"{ts:%Y-%m-%dT%H:%M:%S}"


def _span(when: str) -> tuple[datetime, datetime]:
    try:
        start = datetime.combine(date.fromisoformat(when), time.min, UTC)
        return start, start + timedelta(days=1)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(when)
        start = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return start, start + timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise UnknownValueError(f"{when!r} is no date: write it as 2008-10-10, or a time in UTC as 2008-10-10T14:30") from None


def _intervals(snapshot: Snapshot, symbol: str) -> list[dict[str, Any]]:
    return snapshot.query(
        "select interval, count(*) as bars from fct_indicator where symbol = $symbol group by interval", {"symbol": symbol}
    ).to_pylist()


def _without_series(snapshot: Snapshot, question: Question, held: Iterable[str]) -> str:
    number, intervals = snapshot.manifest.number, sorted(held, key=lambda name: INTERVALS.get(name, 0))
    if intervals:
        return f"snapshot {number} has no {question.interval} bars of {question.symbol}, only of {', '.join(intervals)}"
    symbols = snapshot.query("select distinct symbol from fct_indicator order by symbol")["symbol"].to_pylist()
    there_are = f"there are {len(symbols):,}" if len(symbols) > _LISTED else f"there is {', '.join(symbols) or 'none'}"
    return f"snapshot {number} has no symbol {question.symbol!r}{_meant(question.symbol, symbols)}; {there_are}"


def _meant(given: str, known: list[str]) -> str:
    """A guess at what was meant, in brackets; nothing without one."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(given.casefold(), by_folded, n=3, cutoff=0.6)
    return f" (do you mean {' or '.join(by_folded[name] for name in near)}?)" if near else ""
