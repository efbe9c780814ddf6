"""A receiver of messages that does as its script says."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory_storage import Killed

from transform.alerts.message import Message


@dataclass
class Receiver:
    """Takes messages by its script: `ok`, `refuse` (not taken), `lose` (taken, but no answer), `kill` (taken, sender dies)."""

    script: list[str] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> bool:
        what = self.script.pop(0) if self.script else "ok"
        if what != "refuse":
            self.taken.append(message)
        if what == "kill":
            raise Killed
        return what == "ok"

    @property
    def keys(self) -> list[str]:
        return [key for message in self.taken for key in message.keys]
