"""What a landed slot must be: its bars, and its dead letters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingestion.chain.slot import Chain, SlotFooter
from tickhouse.bar import LANDED_SCHEMA, LINEAGE_SCHEMA
from transform.proof.files import LakeFiles
from transform.proof.finding import RESTORE

_OF_THE_CHAIN = ("topic", "topic_id", "partition")
_SHOWN = 5


@dataclass(frozen=True)
class ProvenSlot:
    """A slot that was looked through: its bars in `LANDED_SCHEMA`, the offsets of its dead letters, and where its bars lie."""

    chain: Chain
    footer: SlotFooter
    bars: pa.Table
    letters: NDArray[np.int64]
    key: str

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Those that hold a bar or a dead letter, in order."""
        return np.sort(np.concatenate([self.bars["offset"].to_numpy(), self.letters]))


def prove_slot(files: LakeFiles, chain: Chain, footer: SlotFooter, bars: pa.Table, key: str) -> ProvenSlot:
    """Look through a slot whose bars are stored under `key`, and tell what is wrong with it."""
    wrong = _column_faults(bars) or _row_faults(chain, footer, bars, footer.rows, "bars")
    if wrong:
        files.findings.add("slot wrong", key, expected=_place_text(footer), found="; ".join(wrong), remedy=RESTORE)
    letters = _letters(files, chain, footer)
    shared = np.intersect1d(bars["offset"].to_numpy(), letters)
    if len(shared):
        found = f"offsets {_some(shared)} are bars of the slot at {footer.position} too"
        expected = "each message a bar or a dead letter, never both"
        files.findings.add("dead letters wrong", str(footer.dead_letter_key), expected=expected, found=found, remedy=RESTORE)
    return ProvenSlot(chain, footer, bars, letters, key)


def _letters(files: LakeFiles, chain: Chain, footer: SlotFooter) -> NDArray[np.int64]:
    """The offsets of the slot's dead letters, as far as they can be read."""
    none = np.empty(0, np.int64)
    if footer.dead_letter_key is None:
        if footer.dead_letters:
            found = f"its footer counts {footer.dead_letters:,} and names no file"
            key = chain.slot_key(footer.position)
            files.findings.add("dead letters missing", key, expected="a file of dead letters", found=found, remedy=RESTORE)
        return none
    expected = f"{footer.dead_letters:,} dead letters of the slot at {footer.position}"
    table = files.needed("dead letters", footer.dead_letter_key, expected, RESTORE)
    if table is None:
        return none
    if wrong := _row_faults(chain, footer, table, footer.dead_letters, "dead letters"):
        found = "; ".join(wrong)
        files.findings.add("dead letters wrong", footer.dead_letter_key, expected=expected, found=found, remedy=RESTORE)
    return table["offset"].to_numpy()


def _column_faults(bars: pa.Table) -> list[str]:
    """Columns that are not as landed bars have them; those of origins are younger than the oldest slots."""
    wanted = {column.name: column.type for column in LANDED_SCHEMA}
    given = {column.name: column.type for column in bars.schema}
    return [f"column {name} is {given.get(name)} and not {kind}" for name, kind in wanted.items() if given.get(name) != kind]


def _row_faults(chain: Chain, footer: SlotFooter, rows: pa.Table, expected: int, what: str) -> list[str]:
    """What is wrong with the number, the offsets and the lineage of a slot's bars or dead letters."""
    wrong = []
    if rows.num_rows != expected:
        wrong.append(f"{rows.num_rows:,} {what}, and its footer counts {expected:,}")
    offsets = rows["offset"].to_numpy()
    out_of_order = offsets[1:][offsets[1:] <= offsets[:-1]]
    if len(out_of_order):
        wrong.append(f"offsets {_some(out_of_order)} come twice or out of order")
    outside = offsets[(offsets < footer.position) | (offsets >= footer.next_offset)]
    if len(outside):
        wrong.append(f"offsets {_some(outside)} are not its own")
    for name in _OF_THE_CHAIN:
        values = pc.unique(rows[name].cast(LINEAGE_SCHEMA.field(name).type)).to_pylist()
        if any(value != getattr(chain, name) for value in values):
            wrong.append(f"{name} is {', '.join(map(str, values[:_SHOWN]))} and not {getattr(chain, name)}")
    return wrong


def _place_text(footer: SlotFooter) -> str:
    return f"{footer.rows:,} bars of offsets {footer.position} to {footer.next_offset - 1}, each once and in order"


def _some(offsets: NDArray[np.int64]) -> str:
    more = f" and {len(offsets) - _SHOWN:,} more" if len(offsets) > _SHOWN else ""
    return ", ".join(map(str, offsets[:_SHOWN].tolist())) + more
