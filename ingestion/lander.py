"""Landing one partition: its batch, decoded, as the next slot of its chain."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from ingestion.batch import Batch, Limits
from ingestion.chain.put import ChainEnd, find_end, put_slot
from ingestion.chain.slot import Chain, SlotFooter
from ingestion.dead_letter import dead_letter_table, write_dead_letters
from ingestion.decode import Decoded, Rejected, decode
from ingestion.metrics import IngestorMetrics
from ingestion.origin import origin_columns
from tickhouse.bar import LANDED_SCHEMA, SCHEMA_VERSION, with_coded_texts
from tickhouse.storage import Storage

_NAMED_FIELDS = 10
_SLOT_SCHEMA = with_coded_texts(LANDED_SCHEMA)
_KAFKA_TIMESTAMP = LANDED_SCHEMA.field("kafka_timestamp").type

log = structlog.get_logger(__name__)


class PartitionLander:
    """Buffers a partition's messages and puts them at the end of its chain.

    Any number of landers, of any process, may work on one chain: the chain takes each offset once. One that finds
    its place taken goes on from the chain's end with what it holds above that.
    """

    def __init__(
        self, storage: Storage, chain: Chain, end: ChainEnd, limits: Limits, writer: str, metrics: IngestorMetrics | None = None
    ) -> None:
        self._storage = storage
        self._metrics = metrics or IngestorMetrics(chain.topic)
        self.chain = chain
        self._writer = writer
        self.end = end
        self.batch = Batch(limits, end.next_offset)

    def seal(self) -> Batch:
        """What is buffered, to be landed; from now on messages go to a new batch that follows it."""
        sealed, self.batch = self.batch, Batch(self.batch.limits, self.batch.next_offset, self.batch)
        return sealed

    def land(self, sealed: Batch | None = None) -> None:
        """Put a sealed batch, or what is buffered; afterwards it is empty and `end` is where the chain goes on.

        Batches are landed in the order they were sealed in.

        Raises what the storage raises; the batch is then unchanged, and may have landed or not: landing again,
        here or in another process, finds out.
        """
        batch = self.batch if sealed is None else sealed
        batch.advance(self.end.next_offset)
        while not batch.is_empty:
            self._land_once(batch)

    def _land_once(self, batch: Batch) -> None:
        started = time.perf_counter()
        decoded = decode(batch.messages)
        footer = self._footer(batch, decoded, self._write_dead_letters(batch, decoded.rejected))
        standing = put_slot(self._storage, self.chain, self._landed(batch, decoded), footer)
        own = log.bind(chain=self.chain.path, position=footer.position)
        if standing == footer:
            self.end = ChainEnd(footer.next_offset, footer.position)
            seconds = time.perf_counter() - started
            stages: Counter[str] = Counter(one.stage for one in decoded.rejected)
            self._metrics.landed(self.chain.partition, footer, batch.messages.size, seconds, stages)
            if decoded.extra_fields:
                own = own.bind(extra_fields=dict(decoded.extra_fields.most_common(_NAMED_FIELDS)))
            own.info(
                "slot landed",
                next_offset=footer.next_offset,
                rows=footer.rows,
                dead_letters=footer.dead_letters,
                seconds=round(seconds, 4),
            )
        else:
            end = find_end(self._storage, self.chain, standing.position)
            assert end is not None  # the chain has the slot that stands
            self.end = end
            self._metrics.taken(self.chain.partition, end.next_offset)
            own.info("slot was taken", winner=standing.writer, next_offset=end.next_offset)
        batch.advance(self.end.next_offset)

    def _write_dead_letters(self, batch: Batch, rejected: Sequence[Rejected]) -> str | None:
        if not rejected:
            return None
        letters = dead_letter_table(self.chain, batch.messages, rejected)
        return write_dead_letters(self._storage, self.chain, batch.position, letters, uuid.uuid4().hex)

    def _footer(self, batch: Batch, decoded: Decoded, dead_letter_key: str | None) -> SlotFooter:
        first, last = pc.min_max(decoded.bars["ts"]).as_py().values()
        return SlotFooter(
            position=batch.position,
            next_offset=batch.next_offset,
            rows=decoded.bars.num_rows,
            dead_letters=len(decoded.rejected),
            dead_letter_key=dead_letter_key,
            writer=self._writer,
            schema_version=SCHEMA_VERSION,
            first_ts=None if first is None else first.isoformat(),
            last_ts=None if last is None else last.isoformat(),
            event_months=_months(decoded.bars["ts"]),
            replayed=len(decoded.origins),
        )

    def _landed(self, batch: Batch, decoded: Decoded) -> pa.Table:
        chain, rows = self.chain, decoded.bars.num_rows
        nowhere = pa.array(np.zeros(rows, np.int32))
        lineage = [
            pa.DictionaryArray.from_arrays(nowhere, [chain.topic]),
            pa.DictionaryArray.from_arrays(nowhere, [chain.topic_id]),
            pa.array(np.full(rows, chain.partition, np.int32)),
            pa.array(batch.messages.offsets[decoded.indices]),
            pa.array(batch.messages.timestamps[decoded.indices]).view(_KAFKA_TIMESTAMP),
        ]
        origins = origin_columns(decoded.origins, decoded.indices)
        return pa.Table.from_arrays([*decoded.bars.columns, *lineage, *origins], schema=_SLOT_SCHEMA)


def _months(times: pa.ChunkedArray) -> tuple[str, ...]:
    days = pc.unique(times.cast(pa.date32(), safe=False)).to_pylist()
    return tuple(sorted({f"{day.year:04}-{day.month:02}" for day in days}))
