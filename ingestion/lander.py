"""Landing one partition: its batch, decoded, as the next slot of its chain."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from ingestion.batch import Batch, Limits
from ingestion.chain.put import ChainEnd, find_end, put_slot
from ingestion.chain.slot import Chain, SlotFooter
from ingestion.dead_letter import dead_letter_table, write_dead_letters
from ingestion.decode import Decoded, Rejected, decode
from ingestion.origin import origin_columns
from tickhouse.bar import LANDED_SCHEMA, SCHEMA_VERSION
from tickhouse.storage import Storage

_NAMED_FIELDS = 10

log = structlog.get_logger(__name__)


class PartitionLander:
    """Buffers a partition's messages and puts them at the end of its chain.

    Any number of landers, of any process, may work on one chain: the chain takes each offset once. One that finds
    its place taken goes on from the chain's end with what it holds above that.
    """

    def __init__(self, storage: Storage, chain: Chain, end: ChainEnd, limits: Limits, writer: str) -> None:
        self._storage = storage
        self.chain = chain
        self._writer = writer
        self.end = end
        self.batch = Batch(limits, end.next_offset)

    def land(self) -> None:
        """Put what is buffered; afterwards the batch is empty and `end` is where the chain goes on.

        Raises what the storage raises; the batch is then unchanged, and may have landed or not: landing again,
        here or in another process, finds out.
        """
        while not self.batch.is_empty:
            self._land_once()

    def _land_once(self) -> None:
        started = time.perf_counter()
        batch = self.batch
        decoded = decode(batch.values, batch.headers)
        footer = self._footer(decoded, self._write_dead_letters(decoded.rejected))
        standing = put_slot(self._storage, self.chain, self._landed(decoded), footer)
        own = log.bind(chain=self.chain.path, position=footer.position)
        if standing == footer:
            self.end = ChainEnd(footer.next_offset, footer.position)
            if decoded.extra_fields:
                own = own.bind(extra_fields=dict(decoded.extra_fields.most_common(_NAMED_FIELDS)))
            own.info(
                "slot landed",
                next_offset=footer.next_offset,
                rows=footer.rows,
                dead_letters=footer.dead_letters,
                seconds=round(time.perf_counter() - started, 4),
            )
        else:
            end = find_end(self._storage, self.chain, standing.position)
            assert end is not None  # the chain has the slot that stands
            self.end = end
            own.info("slot was taken", winner=standing.writer, next_offset=end.next_offset)
        batch.advance(self.end.next_offset)

    def _write_dead_letters(self, rejected: Sequence[Rejected]) -> str | None:
        if not rejected:
            return None
        letters = dead_letter_table(self.chain, self.batch, rejected)
        return write_dead_letters(self._storage, self.chain, self.batch.position, letters, uuid.uuid4().hex)

    def _footer(self, decoded: Decoded, dead_letter_key: str | None) -> SlotFooter:
        first, last = pc.min_max(decoded.bars["ts"]).as_py().values()
        days = decoded.bars["ts"].cast(pa.date32()).unique().to_pylist()
        return SlotFooter(
            position=self.batch.position,
            next_offset=self.batch.next_offset,
            rows=decoded.bars.num_rows,
            dead_letters=len(decoded.rejected),
            dead_letter_key=dead_letter_key,
            writer=self._writer,
            schema_version=SCHEMA_VERSION,
            first_ts=None if first is None else first.isoformat(),
            last_ts=None if last is None else last.isoformat(),
            event_months=tuple(sorted({f"{day.year:04}-{day.month:02}" for day in days})),
            replayed=len(decoded.origins),
        )

    def _landed(self, decoded: Decoded) -> pa.Table:
        chain, batch, rows = self.chain, self.batch, decoded.bars.num_rows
        lineage = [
            pa.repeat(pa.scalar(chain.topic), rows),
            pa.repeat(pa.scalar(chain.topic_id), rows),
            pa.repeat(pa.scalar(chain.partition, pa.int32()), rows),
            pa.array(batch.offsets, pa.int64()).take(decoded.indices),
            pa.array(batch.timestamps, pa.timestamp("ms", tz="UTC")).take(decoded.indices),
        ]
        return pa.Table.from_arrays(
            [*decoded.bars.columns, *lineage, *origin_columns(decoded.origins, decoded.indices)], schema=LANDED_SCHEMA
        )
