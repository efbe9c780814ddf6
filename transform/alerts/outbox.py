"""What is on its way to a channel: noted before it is sent and after, so that whoever is killed in between sends it again.

A channel's outbox is a folder of the lake. `<after>.json` is a message that tells of ledger entries above `after`, up to its
`upto`; `<after>-sent.json` says that it was delivered, and up to where nothing is left to tell. Where a channel
begins is `<upto>-begun.json`. The highest number counts; older ones go, so a folder holds no more than a handful of objects.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tickhouse.storage import ObjectMissingError, Storage
from transform.alerts.message import Message

AREA = "delivery"


class Parcel(BaseModel):
    """A message, and the ledger entries that are settled with it: those above `after`, up to `upto`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int
    upto: int
    message: Message


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    upto: int


class Outbox:
    """The outbox of one channel. Several processes may use it at once: at worst a message is sent twice, and none is left out."""

    def __init__(self, storage: Storage, channel: str) -> None:
        self._storage = storage
        self._folder = f"{AREA}/{channel}"

    def state(self) -> tuple[int | None, Parcel | None]:
        """Up to which entry all is settled, None when nothing ever was; and the message that was noted and not yet sent."""
        while True:
            numbers = self._numbers()
            if not numbers:
                return None, None
            newest = max(numbers)
            try:
                if f"{newest:020d}-sent.json" in numbers[newest]:
                    sent = _Sent.model_validate_json(self._storage.get(self._key(newest, "-sent")))
                    return sent.upto, None
                if f"{newest:020d}.json" not in numbers[newest]:
                    return newest, None  # it has begun there
                return newest, Parcel.model_validate_json(self._storage.get(self._key(newest)))
            except ObjectMissingError:
                continue  # another process has come further meanwhile

    def begin(self, upto: int) -> None:
        """Settle all entries up to this one: where a channel that was never delivered to begins."""
        self._storage.put_if_absent(self._key(upto, "-begun"), _Sent(upto=upto).model_dump_json().encode())

    def note(self, parcel: Parcel) -> Parcel | None:
        """Note what is going to be sent. What was noted there first, by whomever; None when another has come further."""
        key = self._key(parcel.after)
        if self._storage.put_if_absent(key, parcel.model_dump_json().encode()):
            if max(self._numbers(), default=0) <= parcel.after:
                return parcel
            self._storage.delete(key)
            return None
        try:
            return Parcel.model_validate_json(self._storage.get(key))
        except ObjectMissingError:
            return None

    def settle(self, parcel: Parcel) -> None:
        """Note that it was delivered, and forget what was before it."""
        self._storage.put_if_absent(self._key(parcel.after, "-sent"), _Sent(upto=parcel.upto).model_dump_json().encode())
        for number, names in self._numbers().items():
            for name in sorted(names) if number < parcel.after else ():
                self._storage.delete(f"{self._folder}/{name}")

    def _numbers(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for name in self._storage.list_after(self._folder):
            found.setdefault(int(name[:20]), set()).add(name)
        return found

    def _key(self, after: int, suffix: str = "") -> str:
        return f"{self._folder}/{after:020d}{suffix}.json"
