"""An entry of the ledger: what became of an alert, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tickhouse.settings import Severity

Event = Literal["raised", "changed", "withdrawn"]


@dataclass(frozen=True)
class AlertEvent:
    """A row of `alert_event`; `event_seq` counts the ledger's entries from 1, and (alert_id, revision) is unique.

    Each entry of an alert is its next revision, from 1. Severity, value and threshold are those of the alert now, or those that
    it had when it was withdrawn. `is_told` says that it is for people: not of history that was loaded, nor of a backfill.
    Times are UTC.
    """

    event_seq: int
    alert_id: str
    revision: int
    event: Event
    symbol: str
    interval: str
    ts: datetime
    rule: str
    severity: Severity
    value: float
    threshold: float
    is_told: bool
    snapshot: int
    recorded_at: datetime

    @property
    def key(self) -> str:
        """What a receiver tells a repeated message by."""
        return f"{self.alert_id}/{self.revision}"
