"""What people read of incidents: one by itself, several in one message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from transform.alerts.message import Message
from transform.incidents.incident import Incident, Turn

_RANK = {"low": 1, "medium": 2, "high": 3}


def message_of(owed: Sequence[tuple[Incident, Turn]]) -> Message:
    """What happened, where to look and what to do, of each; there is at least one. What has recovered is `low`."""
    keys = tuple(incident.reference(turn) for incident, turn in owed)
    severity = max((_severity(*each) for each in owed), key=lambda severity: _RANK[severity])
    if len(owed) == 1:
        return Message(title=_title(*owed[0]), body=_body(*owed[0]), severity=severity, keys=keys)
    began = sum(turn == "began" for _incident, turn in owed)
    counts = [f"{began:,} began" if began else "", f"{len(owed) - began:,} recovered" if began < len(owed) else ""]
    title = f"tickhouse: {len(owed):,} incidents: {', '.join(filter(None, counts))}"
    body = "\n\n".join(f"{_title(*each)}\n{_body(*each)}" for each in owed)
    return Message(title=title, body=body, severity=severity, keys=keys)


def _title(incident: Incident, turn: Turn) -> str:
    return incident.trouble.title if turn == "began" else f"Recovered: {incident.trouble.title}"


def _body(incident: Incident, turn: Turn) -> str:
    trouble = incident.trouble
    since = f"{incident.began_at:%Y-%m-%d %H:%M:%S} UTC"
    if turn == "began" or incident.recovered_at is None:
        lines = [trouble.text, f"Since {since}.", f"Look: {trouble.link}", f"Do: {trouble.advice}"]
    else:
        lasted = timedelta(seconds=round((incident.recovered_at - incident.began_at).total_seconds()))
        lines = [f"It is over: from {since} to {incident.recovered_at:%Y-%m-%d %H:%M:%S} UTC, {lasted}.", f"Look: {trouble.link}"]
    return "\n".join([*filter(None, lines), f"Reference: {incident.reference(turn)}"])


def _severity(incident: Incident, turn: Turn) -> str:
    return incident.trouble.severity if turn == "began" else "low"
