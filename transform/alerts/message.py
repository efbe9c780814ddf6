"""What people read of the ledger: a message for an entry, or one digest for many."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tickhouse.settings import Severity
from transform.alerts.event import AlertEvent

LISTED = 20
"""A digest names so many entries, the gravest and newest, and counts the others."""

_RANK: dict[str, int] = {"low": 1, "medium": 2, "high": 3}


class Message(BaseModel):
    """Plain text. `severity` is the gravest of what it tells; `keys` are what it tells, each `alert_id/revision`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    body: str
    severity: Severity
    keys: tuple[str, ...]


def message_of(events: Sequence[AlertEvent]) -> Message:
    """One entry by itself, several as a digest. There is at least one."""
    gravest = max(events, key=lambda event: _RANK[event.severity])
    keys = tuple(event.key for event in events)
    if len(events) == 1:
        body = f"{_said(gravest)}\nReference: {gravest.key}"
        return Message(title=_headline(gravest), body=body, severity=gravest.severity, keys=keys)
    shown = sorted(events, key=lambda event: (-_RANK[event.severity], -event.event_seq))[:LISTED]
    lines = [f"{_headline(event)}: {_measured(event)} [{event.key}]" for event in shown]
    if len(events) > LISTED:
        lines.append(f"and {len(events) - LISTED:,} more: the page Alerts and the table alert_event have them all")
    counts = {name: sum(event.severity == name for event in events) for name in ("high", "medium", "low")}
    counted = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    first, last = events[0].event_seq, events[-1].event_seq
    body = "\n".join([*lines, f"Reference: entries {first:,} to {last:,} of alert_event"])
    return Message(title=f"{len(events):,} alerts: {counted}", body=body, severity=gravest.severity, keys=keys)


def is_as_grave(event: AlertEvent, severity: str) -> bool:
    """Whether the alert is of this severity or a higher one."""
    return _RANK[event.severity] >= _RANK[severity]


def _headline(event: AlertEvent) -> str:
    after = {"raised": "", "changed": ", changed", "withdrawn": ", withdrawn"}[event.event]
    return f"{event.symbol} {event.interval} {_time(event)}: {event.rule}, {event.severity}{after}"


def _said(event: AlertEvent) -> str:
    if event.event == "withdrawn":
        return f"This alert no longer holds: a correction or another rule took it back. It said {_measured(event)}."
    if event.event == "changed":
        return f"What was told of this alert has changed: now {_measured(event)}."
    return f"The rule {event.rule} measured {_measured(event)}."


def _measured(event: AlertEvent) -> str:
    return f"{event.value:,.6g} against {event.threshold:,.6g}"


def _time(event: AlertEvent) -> str:
    return f"{event.ts:%Y-%m-%d}" if event.interval in ("1d", "1w") else f"{event.ts:%Y-%m-%d %H:%M} UTC"
