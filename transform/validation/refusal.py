"""What validation refused: a note beside the records, so that whoever asks learns what holds publishing up."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ingestion.chain.slot import Chain, slot_name
from tickhouse.storage import ObjectMissingError, Storage
from transform.validation.record import AREA


class Refusal(BaseModel):
    """The first refusal of the batch that begins with the slot at `position`; `refused_at` is UTC.

    `failing_rows` were too many to go to quarantine; 0 when the batch as a whole broke a rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: int
    reason: str
    failing_rows: int
    refused_at: datetime

    @property
    def way_on(self) -> str:
        """What to do about it, for people."""
        if self.failing_rows:
            command = "TICKHOUSE_VALIDATION__MAX_QUARANTINED_PCT=100 tickhouse build"
            return f"To let it through, its failing rows to quarantine: `{command}`."
        return "No setting lets it through: what landed or the rules of transform/validation/suite.py must change."


def refusal_key(chain: Chain, position: int) -> str:
    return f"{AREA}/{chain.path}/{slot_name(position)}-refused.json"


def write_refusal(storage: Storage, chain: Chain, refusal: Refusal) -> None:
    """Note it; a batch that was refused before keeps its first note."""
    storage.put_if_absent(refusal_key(chain, refusal.position), refusal.model_dump_json().encode())


def read_refusal(storage: Storage, chain: Chain, position: int) -> Refusal | None:
    """The refusal of the batch at `position`, None when there was none. It counts while the slot there has no record."""
    try:
        return Refusal.model_validate_json(storage.get(refusal_key(chain, position)))
    except ObjectMissingError:
        return None
