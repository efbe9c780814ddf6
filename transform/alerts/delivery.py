"""Telling people: each channel by itself, in the ledger's order, at least once, until it is taken."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from tickhouse.settings import DeliverySettings, Settings
from tickhouse.storage import Storage, StorageUnavailableError
from transform.alerts.channel import Channel
from transform.alerts.event import AlertEvent
from transform.alerts.ledger import SnapshotLedger
from transform.alerts.message import message_of
from transform.alerts.outbox import Outbox, Parcel
from transform.snapshot.read import SnapshotReader

PAGE_ROWS = 1_000
"""So many entries are read at once, and at most so many are told by one digest."""

LOOK_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Ledger(Protocol):
    """What delivery asks of the ledger."""

    def newest_seq(self) -> int:
        """The number of the newest entry, 0 when there is none."""

    def first_seq_since(self, moment: datetime) -> int | None:
        """The number of the first entry recorded then or later."""

    def told_after(self, event_seq: int, limit: int) -> list[AlertEvent]:
        """At most so many entries that are for people, above `event_seq`, in order."""


OpenLedger = Callable[[], AbstractContextManager[Ledger | None]]
"""Opens the ledger as it is now; None before the first publication."""


class ChannelDown(Exception):
    """The channel did not take a message, or not so that we know of it."""


class ChannelsDownError(RuntimeError):
    """Channels did not take what is for them: it waits, and is delivered when they do."""


class ChannelDelivery:
    """Brings one channel up to date, message by message."""

    def __init__(
        self, storage: Storage, channel: Channel, delivery: DeliverySettings, open_ledger: OpenLedger, passed: int = 0
    ) -> None:
        self._channel = channel
        self._delivery = delivery
        self._outbox = Outbox(storage, channel.name)
        self._open_ledger = open_ledger
        self.passed = passed
        """Up to here nothing is left for the channel; what is only passed over is not noted."""

    def waits_after(self, newest_seq: int) -> int | None:
        """Up to which entry all is settled where something is to be sent, else None.

        The ledger, whose newest entry is `newest_seq`, is opened only if it has grown.
        """
        settled, parcel = self._outbox.state()
        if parcel is not None or (settled is not None and newest_seq <= max(settled, self.passed)):
            return None if parcel is None else parcel.after
        with self._open_ledger() as ledger:
            found = None if ledger is None else self._find(ledger, self._settled(ledger, settled))
            return None if found is None else found.after

    def step(self) -> int:
        """Send the next message, if there is one; how many entries it told. Raises ChannelDown and StorageUnavailableError."""
        settled, parcel = self._outbox.state()
        if parcel is None:
            parcel = self._next_parcel(settled)
        if parcel is None:
            return 0
        if not self._channel.sender.send(parcel.message):
            raise ChannelDown(self._channel.name)
        self._outbox.settle(parcel)
        log.info("alerts delivered", channel=self._channel.name, alerts=len(parcel.message.keys), upto=parcel.upto)
        return len(parcel.message.keys)

    def _next_parcel(self, settled: int | None) -> Parcel | None:
        with self._open_ledger() as ledger:
            if ledger is None:
                return None
            settled = self._settled(ledger, settled)
            found = self._find(ledger, settled)
            return None if found is None else self._outbox.note(found)

    def _find(self, ledger: Ledger, settled: int) -> Parcel | None:
        after = max(settled, self.passed)
        while found := ledger.told_after(after, PAGE_ROWS):
            if wanted := [event for event in found if self._channel.wants(event)]:
                told = wanted if len(wanted) >= self._delivery.digest_from else wanted[:1]
                upto = found[-1].event_seq if told == wanted else told[-1].event_seq
                return Parcel(after=settled, upto=upto, message=message_of(told))
            after = self.passed = found[-1].event_seq
        self.passed = max(after, ledger.newest_seq())
        return None

    def _settled(self, ledger: Ledger, settled: int | None) -> int:
        return self._begin(ledger) if settled is None else settled

    def _begin(self, ledger: Ledger) -> int:
        """Where a channel begins that was never delivered to: with what is not yet too old to be told."""
        since = datetime.now(UTC) - timedelta(hours=self._delivery.max_age_hours)
        first = ledger.first_seq_since(since)
        upto = ledger.newest_seq() if first is None else first - 1
        self._outbox.begin(upto)
        return upto


def deliver_all(deliveries: list[ChannelDelivery], channels: list[Channel]) -> list[str]:
    """Deliver what waits, once; the names of the channels that did not take theirs."""
    down = []
    for delivery, channel in zip(deliveries, channels, strict=True):
        try:
            while delivery.step():
                pass
        except ChannelDown:
            down.append(channel.name)
    return down


def keep_delivering(delivery: ChannelDelivery, channel: Channel, settings: DeliverySettings, stop: threading.Event) -> None:
    """Deliver whatever comes until `stop`; try a channel that is out again and again, and log that once, and its return."""
    backoff = 0.0
    while not stop.is_set():
        try:
            told = delivery.step()
            if backoff:
                log.warning("the channel takes alerts again", channel=channel.name)
            backoff, pause = 0.0, 0.0 if told else LOOK_SECONDS
        except (ChannelDown, StorageUnavailableError) as reason:
            if not backoff:
                log.warning("the channel is out: its alerts wait and are tried again", channel=channel.name, reason=str(reason))
            backoff = min(max(2 * backoff, FIRST_BACKOFF_SECONDS), settings.max_backoff_seconds)
            pause = backoff * random.uniform(0.5, 1.0)
        stop.wait(pause)


def open_deliveries(settings: Settings, storage: Storage, channels: list[Channel]) -> list[ChannelDelivery]:
    """A delivery of the newest snapshot's ledger for each channel."""
    open_ledger = ledger_of(storage)
    return [ChannelDelivery(storage, channel, settings.delivery, open_ledger) for channel in channels]


def ledger_of(storage: Storage) -> OpenLedger:
    """Opens the ledger of the newest snapshot."""
    reader = SnapshotReader(storage)

    @contextmanager
    def open_ledger() -> Iterator[SnapshotLedger | None]:
        with reader.pin() as snapshot:
            yield None if snapshot is None else SnapshotLedger(snapshot)

    return open_ledger


def run_delivery(settings: Settings, storage: Storage, channels: list[Channel], stop: threading.Event) -> None:
    """Deliver until `stop`, each channel in a thread of its own, so that none waits for another.

    What will not pass by itself (a newer schema, a storage that refuses) ends all, and is raised.
    """
    deliveries = open_deliveries(settings, storage, channels)
    with ThreadPoolExecutor(max(len(channels), 1), thread_name_prefix="deliver") as pool:
        running = [
            pool.submit(keep_delivering, delivery, channel, settings.delivery, stop)
            for delivery, channel in zip(deliveries, channels, strict=True)
        ]
        wait(running, return_when=FIRST_EXCEPTION)
        stop.set()
    for each in running:
        each.result()
