"""Reading landed and quarantined rows back from the lake, wherever they are by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.chain.archive import archived_footers, bars_key, covering_record, record_key
from ingestion.chain.slot import Chain, SlotFooter, as_landed
from ingestion.chain.walk import read_footer
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.storage import ObjectMissingError, Storage
from transform.proof.equality import differences
from transform.proof.explanation import Check, OtherRow
from transform.proof.held import Identity, Quarantines, Row

_READ_SLOTS = 50
_UNREADABLE = (ObjectMissingError, OSError, ValueError, pa.ArrowException)


@dataclass(frozen=True)
class StoredSlot:
    """A slot of a chain's walk, and where its bars lie: under its own key, or in an archive whose record has `archive_key`."""

    chain: Chain
    footer: SlotFooter
    bars_key: str
    archive_key: str | None


def stored_slot(storage: Storage, chain: Chain, position: int) -> StoredSlot | None:
    """The slot at `position`, None when the lake has none there. Raises ValueError for a file that is no slot."""
    for _ in range(2):  # compaction may take the file between the two looks; then the record is there
        if (record := covering_record(storage, chain, position)) is not None:
            footers = archived_footers(storage, chain, record)
            footer = next((each for each in footers if each.position == position), None)
            place = (bars_key(chain, record), record_key(chain, record.position))
            return None if footer is None else StoredSlot(chain, footer, *place)
        if (footer := read_footer(storage, chain, position)) is not None:
            return StoredSlot(chain, footer, chain.slot_key(position), None)
    return None


def read_back(storage: Storage, landed: Sequence[Row], slots: dict[int, Row]) -> tuple[Check, ...]:
    """Compare rows of `int_landed_bar` with what lies in the lake at their places, column by column and to the bit.

    Of very many slots the first `_READ_SLOTS` are read. Memory: a symbol's rows of a slot, or of an archive's row group.
    """
    by_slot: dict[int | None, list[Row]] = {}
    for row in landed:
        by_slot.setdefault(row["slot_seq"], []).append(row)
    read, wrong = 0, []
    for number, rows in list(by_slot.items())[:_READ_SLOTS]:
        if number is None or number not in slots:
            wrong.append(f"no slot is registered for offset {rows[0]['offset']:,} of partition {rows[0]['partition']}")
            continue
        wrong += _differing(storage, slots[number], rows)
        read += len(rows)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return (Check(f"the lake and the models differ: {wrong[0]}{more}", False),)
    of_all = "" if read == len(landed) else f" of {len(landed):,}"
    what = "its row is" if len(landed) == 1 else f"{read:,}{of_all} rows are"
    return (Check(f"{what} in the lake as in the models, to the bit", True),)


def quarantined_rows(storage: Storage, quarantines: Quarantines, identity: Identity) -> tuple[tuple[OtherRow, ...], Check]:
    """The identity's rows in those files, and whether all files could be read."""
    found: list[OtherRow] = []
    filters = [(name, "==", value) for name, value in identity.bound().items()]
    names = ["topic_id", "partition", "offset", "kafka_timestamp", "close", "reasons"]
    for key in quarantines.keys:
        try:
            rows = pq.read_table(storage.local_path(key), columns=names, partitioning=None, filters=filters).to_pylist()
        except _UNREADABLE as error:
            return tuple(found), Check(f"quarantine file {key} cannot be read: {error!r}", False)
        found += [
            OtherRow(
                fate="quarantined",
                topic_id=row["topic_id"],
                partition=row["partition"],
                offset=row["offset"],
                kafka_timestamp=row["kafka_timestamp"],
                close=row["close"],
                broken_rules=tuple(row["reasons"]),
            )
            for row in rows
        ]
    if not quarantines.files:
        return (), Check("nothing that came by its partition is in quarantine", True)
    looked = "all" if quarantines.files == len(quarantines.keys) else f"the newest {len(quarantines.keys):,} of"
    rows = "no row of this bar" if not found else f"{len(found):,} of its rows"
    return tuple(found), Check(f"{rows} in quarantine: {looked} {quarantines.files:,} files were looked through", True)


def _differing(storage: Storage, registered: Row, rows: Sequence[Row]) -> Iterable[str]:
    """How the models' rows of a slot differ from the lake's."""
    chain, position = Chain.of_path(registered["chain"]), registered["position"]
    try:
        slot = stored_slot(storage, chain, position)
        if slot is None:
            return [f"the slot {chain.slot_key(position)} is gone"]
        filters = [("symbol", "==", rows[0]["symbol"]), ("offset", "in", [row["offset"] for row in rows])]
        table = pq.read_table(storage.local_path(slot.bars_key), partitioning=None, filters=filters)
    except _UNREADABLE as error:
        return [f"the slot {chain.slot_key(position)} cannot be read: {error!r}"]
    found = {row["offset"]: row for row in as_landed(table).to_pylist()}
    wrong = []
    for row in rows:
        place = f"at offset {row['offset']:,} of partition {row['partition']}"
        if row["offset"] not in found:
            wrong.append(f"{place} the lake has no bar of {row['symbol']}")
        else:
            wrong += [f"{place} {each}" for each in differences(found[row["offset"]], row, LANDED_SCHEMA.names)]
    return wrong
