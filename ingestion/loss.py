"""Messages that Kafka dropped before they landed: finding them, and going on without them when somebody says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ingestion.chain.put import find_end, put_slot
from ingestion.chain.slot import Chain, SlotFooter, slot_name
from ingestion.chain.walk import walk
from ingestion.topic import TopicIdentity
from tickhouse.bar import LANDED_SCHEMA, SCHEMA_VERSION
from tickhouse.storage import Storage

GIVEN_UP = "given_up"


class ChainAheadError(RuntimeError):
    """A chain has landed what the topic no longer holds, nor can hold again: the broker lost acknowledged messages."""


@dataclass(frozen=True)
class Loss:
    """Offsets from `position`, where the chain goes on, to `next_offset` − 1, below which Kafka has nothing any more."""

    chain: Chain
    position: int
    next_offset: int

    @property
    def offsets(self) -> int:
        """How many; as many messages are lost, or fewer, for not every offset has one."""
        return self.next_offset - self.position


def find_losses(storage: Storage, topic: TopicIdentity, ask_ranges: Callable[[], Mapping[int, tuple[int, int]]]) -> list[Loss]:
    """What is missing between the chains of `topic` and what Kafka still has; `ask_ranges` answers as `topic_ranges` does.

    A chain that was never begun misses nothing: it begins where Kafka does. Raises ChainAheadError.
    """
    chains = [Chain(topic.name, topic.topic_id, partition) for partition in range(topic.partitions)]
    ends = [(chain, end) for chain in chains if (end := find_end(storage, chain)) is not None]
    ranges = ask_ranges()  # after the chains: a running ingestor lands what comes meanwhile, and is not ahead for that
    for chain, end in ends:
        if end.next_offset > ranges[chain.partition][1]:
            raise ChainAheadError(ahead_text(chain, end.next_offset, ranges[chain.partition][1]))
    lows = ((chain, end.next_offset, ranges[chain.partition][0]) for chain, end in ends)
    return [Loss(chain, next_offset, low) for chain, next_offset, low in lows if next_offset < low]


def give_up(storage: Storage, loss: Loss, writer: str, now: datetime) -> SlotFooter:
    """Let the chain go on behind the loss: a slot of no rows covers it, and says that its offsets were given up.

    The footer that stands there now is ours, unless somebody has landed or given up something there meanwhile.
    A note is put first, so that `given_up` finds every loss without reading the whole chain. `now` is in UTC.
    """
    note = {"position": loss.position, "next_offset": loss.next_offset, "writer": writer, "at": now.isoformat()}
    storage.put_if_absent(_note_key(loss.chain, loss.position), json.dumps(note).encode())
    footer = SlotFooter(
        position=loss.position,
        next_offset=loss.next_offset,
        rows=0,
        dead_letters=0,
        dead_letter_key=None,
        writer=writer,
        schema_version=SCHEMA_VERSION,
        first_ts=None,
        last_ts=None,
        event_months=(),
        lost=loss.offsets,
    )
    return put_slot(storage, loss.chain, LANDED_SCHEMA.empty_table(), footer)


def given_up(storage: Storage, chain: Chain) -> list[SlotFooter]:
    """The footers of the chain's slots that stand for offsets given up, in order."""
    positions = [int(name.removesuffix(".json")) for name in storage.list_after(f"{GIVEN_UP}/{chain.path}")]
    found = (next(walk(storage, chain, position), None) for position in positions)
    return [slot.footer for slot in found if slot is not None and slot.footer.lost]


def loss_text(loss: Loss) -> str:
    """What is lost, and how to go on, for who comes upon it."""
    return (
        f"data loss: {loss.chain.path} has landed up to offset {loss.position}, and Kafka has nothing below "
        f"{loss.next_offset} any more: {loss.offsets:,} offsets are gone. `tickhouse topic adopt` goes on without them"
    )


def ahead_text(chain: Chain, next_offset: int, high: int) -> str:
    """What is wrong with a chain that ends beyond its partition, and what to do."""
    return (
        f"{chain.path} has landed up to offset {next_offset}, but the partition ends at {high}: the broker has lost "
        "messages that it had acknowledged. Restore its data, or delete the topic and make it again: "
        "it is then landed as another one, beside the old"
    )


def _note_key(chain: Chain, position: int) -> str:
    return f"{GIVEN_UP}/{chain.path}/{slot_name(position)}.json"
