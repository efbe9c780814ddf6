"""Telling people of incidents: each channel by itself, what it is owed in one message, one sender at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from tickhouse.settings import ChannelSettings, DeliverySettings
from transform.alerts.channel import ChannelError, Sender, open_channel
from transform.incidents.book import Book
from transform.incidents.state import failed, hold, told
from transform.incidents.wording import message_of

TOLD_AT_ONCE = 10
"""One message tells of so many; the others come with the next."""

LONGEST_SEND_SECONDS = 30.0
"""Dagster ends a sensor's look after a minute: whatever `delivery.timeout_seconds` says, no channel keeps it longer than this."""

HELD_SECONDS = 2 * LONGEST_SEND_SECONDS
"""After this a sender that has not said what became of its message counts as dead, and another sends it again."""

FIRST_BACKOFF_SECONDS = 10.0

Clock = Callable[[], datetime]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Told:
    """What became of a channel: how many turns it was told, or why it did not take them."""

    channel: str
    turns: int = 0
    trouble: str | None = None


def hearing(delivery: DeliverySettings) -> tuple[ChannelSettings, ...]:
    """The channels that hear of incidents."""
    return tuple(channel for channel in delivery.channels if channel.incidents)


def tell_all(book: Book, delivery: DeliverySettings) -> list[Told]:
    """Send each channel what it is owed, if anything; channels go beside each other, so one that hangs keeps none.

    A channel that is out, or whose address is missing, is tried again after 10 s, 20 s, … up to `delivery.max_backoff_seconds`.
    """
    limited = delivery.model_copy(update={"timeout_seconds": min(delivery.timeout_seconds, LONGEST_SEND_SECONDS)})
    owing = book.read()
    channels = [channel for channel in hearing(delivery) if owing.owed_to(channel.name)]
    if not channels:
        return []
    with ThreadPoolExecutor(len(channels), thread_name_prefix="incidents") as pool:
        return list(pool.map(lambda chosen: _open_and_tell(book, chosen, limited), channels))


def tell(book: Book, channel: str, open_sender: Callable[[], Sender], delivery: DeliverySettings, now: Clock) -> Told:
    """Send the channel one message with what it is owed, unless it is held.

    The channel is held in the book before the message is sent, so that no two processes send it; what was taken is noted after.
    A sender that is killed in between, or is given no answer, leaves its message to be sent again with the same references.
    """
    holder = uuid.uuid4().hex
    begun = now()
    state = book.change(lambda state: hold(state, channel, holder, begun + timedelta(seconds=HELD_SECONDS), begun))
    held = state.held.get(channel)
    if held is None or held.holder != holder:
        return Told(channel)
    owed = state.owed_to(channel)[:TOLD_AT_ONCE]
    message = message_of(owed)
    trouble = None
    try:
        if not open_sender().send(message):
            trouble = "it did not take the message"
    except ChannelError as error:
        trouble = str(error)
    if trouble is None:
        book.change(lambda state: told(state, channel, message.keys))
        log.info("incidents told", channel=channel, references=message.keys)
        return Told(channel, len(owed))
    pause = min(FIRST_BACKOFF_SECONDS * 2 ** min(held.failures, 20), delivery.max_backoff_seconds)
    until = now() + timedelta(seconds=pause)
    book.change(lambda state: failed(state, channel, holder, until))
    log.warning("the channel is out: incidents wait for it", channel=channel, reason=trouble, tries=held.failures + 1)
    return Told(channel, trouble=trouble)


def _open_and_tell(book: Book, chosen: ChannelSettings, delivery: DeliverySettings) -> Told:
    return tell(book, chosen.name, lambda: open_channel(chosen, delivery).sender, delivery, lambda: datetime.now(UTC))


def troubled(outcomes: Sequence[Told]) -> str:
    """The channels that are out and why, for people; empty when none is."""
    return "; ".join(f"{each.channel} is out: {each.trouble}" for each in outcomes if each.trouble is not None)
