"""What a proof found that is not as it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing that does not add up: which object, what was expected of it, what was found, and what to do."""

    kind: str
    key: str
    expected: str
    found: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass
class Findings:
    """What was found so far. `notes` are what somebody may want to know, and no failures."""

    all: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, key: str, *, expected: str, found: str, remedy: str) -> None:
        self.all.append(Finding(kind, key, expected, found, remedy))

    def note(self, text: str) -> None:
        self.notes.append(text)


RESTORE = "restore it from a copy of the lake: nothing else that is in the lake can make it again"
"""What is landed is the truth: the beginnings of chains, slots, archives and dead letters."""

VALIDATE_AGAIN = (
    "restore it from a copy of the lake. Or move `published/`, the warehouse and the slot's validation record away, and run "
    "`tickhouse build`: slots without a record are validated again"
)

PUBLISH_AGAIN = "restore it from a copy of the lake. Or move `published/` away and run `tickhouse build`: it is published anew"

BUILD_AGAIN = "see to what else is named first, for this may follow from it; then `tickhouse build --full-refresh`"
