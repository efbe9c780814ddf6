"""Delivering round by round, for whoever does not deliver all the time: which channels something waits for, and telling them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tickhouse.settings import ChannelSettings, Settings
from tickhouse.storage import Storage
from transform.alerts.channel import Channel, open_channel
from transform.alerts.delivery import ChannelDelivery, ChannelDown, ChannelsDownError, ledger_of, open_deliveries
from transform.alerts.message import Message
from transform.marts import ALERT_EVENT
from transform.snapshot.manifest import latest_manifest


@dataclass(frozen=True)
class Waiting:
    """By channel that something waits for, the entry of the ledger up to which all is settled; by each, what was passed over."""

    after: dict[str, int]
    passed: dict[str, int]


def hearing(settings: Settings) -> list[ChannelSettings]:
    """The channels that hear of alerts."""
    return [channel for channel in settings.delivery.channels if channel.alerts]


def find_waiting(settings: Settings, storage: Storage, passed: Mapping[str, int]) -> Waiting:
    """Look what waits; `passed` is what an earlier look passed over, so that a ledger which has not grown is not opened."""
    manifest = latest_manifest(storage)
    if manifest is None or ALERT_EVENT not in manifest.marts:
        return Waiting({}, dict(passed))
    newest, open_ledger = manifest.marts[ALERT_EVENT].rows, ledger_of(storage)
    looks = {
        chosen.name: ChannelDelivery(
            storage, Channel(chosen, _NoWayOut()), settings.delivery, open_ledger, passed.get(chosen.name, 0)
        )
        for chosen in hearing(settings)
    }
    after = {name: after for name, look in looks.items() if (after := look.waits_after(newest)) is not None}
    return Waiting(after, {name: look.passed for name, look in looks.items()})


def deliver_waiting(settings: Settings, storage: Storage, only: str | None = None) -> dict[str, int]:
    """Deliver what waits for each channel that hears of alerts, or for `only` one; by channel how many entries it was told.

    Raises ChannelsDownError when a channel did not take what is for it, once the others got theirs, and ChannelError.
    """
    chosen = [channel for channel in hearing(settings) if only in (None, channel.name)]
    told = {channel.name: 0 for channel in chosen}
    down: list[str] = []
    for each in chosen:
        channel = open_channel(each, settings.delivery)
        [delivery] = open_deliveries(settings, storage, [channel])
        try:
            while entries := delivery.step():
                told[each.name] += entries
        except ChannelDown:
            down.append(each.name)
    if down:
        raise ChannelsDownError(
            f"out, and what is for them waits: {', '.join(down)}. `tickhouse deliver --test` tries a channel."
        )
    return told


@contextmanager
def delivering(settings: Settings) -> Iterator[None]:
    """Held by whoever delivers all the time: on this machine nobody else need look meanwhile."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "delivery.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_delivered_elsewhere(settings: Settings) -> bool:
    """Whether another process of this machine is `delivering`."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "delivery.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class _NoWayOut:
    """Of a channel that is only looked at."""

    def send(self, message: Message) -> bool:
        raise RuntimeError(f"a look sends nothing: {message.title}")
