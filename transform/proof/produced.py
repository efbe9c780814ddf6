"""What Kafka still holds, offset by offset, against what landed: produced = landed + dead letters."""

from __future__ import annotations

import numpy as np

from ingestion.held_offsets import HeldOffsets
from transform.proof.finding import Findings
from transform.proof.slots import ProvenSlot

_SHOWN = 5
_NOT_LANDED = (
    "see to what else is named of this chain first. If nothing is, keep the topic and the lake as they are: "
    "this is what landing promises cannot be"
)
_NOT_PRODUCED = (
    "ask whether the topic is compacted, or records of it were deleted: then these bars are older than what it still holds. "
    "If not, somebody else wrote to the chain"
)


class ProducedCheck:
    """Holds the slots of a topic's chains, in their order, against its messages. `messages` counts those that were compared."""

    def __init__(self, held: HeldOffsets, findings: Findings) -> None:
        self._held = held
        self._findings = findings
        self._partition: int | None = None
        self._first = 0
        self.messages = 0

    def check(self, slot: ProvenSlot) -> None:
        """Tell which of the slot's offsets hold a message that is not in it, and which of its rows have no message."""
        partition = slot.chain.partition
        if partition != self._partition:
            self._partition, self._first = partition, self._held.begin(partition, slot.footer.position)
        held = self._held.below(slot.footer.next_offset)
        held = held[held >= slot.footer.position]
        self.messages += len(held)
        landed = slot.offsets
        missing, strange = np.setdiff1d(held, landed), np.setdiff1d(landed[landed >= self._first], held)
        if len(strange):
            strange = strange[strange >= self._held.first(partition)]  # Kafka may have dropped some while they were read
        expected = f"a bar or a dead letter of each message from {slot.footer.position} to {slot.footer.next_offset - 1}"
        for offsets, said, remedy in (
            (missing, "did not land", _NOT_LANDED),
            (strange, "landed and are no messages", _NOT_PRODUCED),
        ):
            if len(offsets):
                some = ", ".join(map(str, offsets[:_SHOWN].tolist())) + (" and more" if len(offsets) > _SHOWN else "")
                found = f"{len(offsets):,} offsets {said}: {some}"
                self._findings.add("produced is not landed", slot.key, expected=expected, found=found, remedy=remedy)
