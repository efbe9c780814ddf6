"""An incident: what went wrong with the platform, from when until when, and who is still to be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tickhouse.settings import Severity

Turn = Literal["began", "recovered"]


class Trouble(BaseModel):
    """What people are told of a condition that is not well: what happened, where to look, what to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    text: str
    severity: Severity
    link: str
    advice: str


class Observation(BaseModel):
    """What was seen of the condition `key` at a time (UTC): the trouble, or None when all was well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    at: datetime
    trouble: Trouble | None


class Incident(BaseModel):
    """A condition that began to fail at `began_at`, and was over at `recovered_at`. Times are UTC.

    `seen_at` is when what was last seen of it changed; `calm_since` when it was well again, which it has to stay for a while.
    `owed` are the channels that are still to be told, and of what; `audience` are all that hear of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    key: str
    began_at: datetime
    seen_at: datetime
    trouble: Trouble
    calm_since: datetime | None = None
    recovered_at: datetime | None = None
    audience: tuple[str, ...] = ()
    owed: Mapping[str, tuple[Turn, ...]] = {}

    def reference(self, turn: Turn) -> str:
        """What a receiver tells a repeated message by."""
        return f"incident-{self.number}/{turn}"
