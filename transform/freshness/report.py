"""How a verdict and a gap read in a line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from transform.freshness.verdict import Verdict


def minute_text(at: datetime | None) -> str:
    """UTC to the minute, without the time where it is midnight; a dash for None."""
    if at is None:
        return "-"
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%Y-%m-%d %H:%M}"


def late_text(verdict: Verdict) -> str:
    """By how much market time a stale series is behind; nothing of others."""
    if not verdict.late:
        return ""
    unit = verdict.late_unit.removesuffix("s") if verdict.late == 1 else verdict.late_unit
    return f"{verdict.late:,} {unit}"


def days_text(days: Sequence[date], shown: int) -> str:
    """The first days, and how many more there are."""
    more = f" and {len(days) - shown:,} more" if len(days) > shown else ""
    return ", ".join(map(str, days[:shown])) + more
