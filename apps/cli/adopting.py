"""`tickhouse topic adopt`: what would be given up, and giving it up when told to."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ingestion.ends import topic_ranges
from ingestion.loss import Loss, find_losses, give_up
from ingestion.topic import describe_topic
from tickhouse.settings import Settings
from tickhouse.storage import open_storage


def adopt_topic(settings: Settings, confirm: Callable[[str], bool], say: Callable[[str], None]) -> None:
    """Give up what Kafka dropped before it landed, if there is something, and `confirm` says yes to the question.

    Raises ChainAheadError, BrokerUnreachableError, TopicMissingError, and what the storage raises.
    """
    topic, storage = describe_topic(settings), open_storage(settings)
    losses = find_losses(storage, topic, lambda: topic_ranges(settings, topic))
    if not losses:
        say(f"Nothing is lost: every chain of topic {topic.name} goes on within what Kafka has.")
        return
    say(losses_text(losses))
    if not confirm("Give them up, for good?"):
        say("Nothing was changed.")
        return
    writer = f"topic adopt, {getpass.getuser()}@{socket.gethostname()}"
    for loss in losses:
        standing = give_up(storage, loss, writer, datetime.now(UTC))
        if standing.lost:
            say(f"{loss.chain.path} goes on at offset {standing.next_offset}; {standing.lost:,} offsets are given up.")
        else:
            say(f"{loss.chain.path}: an ingestor has landed up to offset {standing.next_offset} meanwhile; nothing is given up.")


def losses_text(losses: Sequence[Loss]) -> str:
    """What is lost, partition by partition."""
    lines = [
        f"  partition {loss.chain.partition}: offsets {loss.position:,} to {loss.next_offset - 1:,} ({loss.offsets:,})"
        for loss in losses
    ]
    head = f"Kafka has dropped messages of topic {losses[0].chain.topic} that had not landed:"
    return "\n".join([head, *lines, "Their chains can go on without them; `tickhouse status` will show the loss."])
