"""The bar contract: its fields, their Arrow types, and the schema version that travels with every message."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

_UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


BAR_SCHEMA = pa.schema(
    [
        _field("symbol", pa.string(), "instrument, as its exchange writes it; the message key"),
        _field("interval", pa.string(), "length of the bar: 1m, 5m, 1h, 1d, 1w"),
        _field("ts", _UTC_MICROSECONDS, "start of the bar, UTC; a daily bar stands at 00:00 of its trading date"),
        _field("open", pa.float64(), "first price", nullable=True),
        _field("high", pa.float64(), "highest price", nullable=True),
        _field("low", pa.float64(), "lowest price", nullable=True),
        _field("close", pa.float64(), "last price", nullable=True),
        _field(
            "adj_close", pa.float64(), "last price adjusted for splits and dividends, where the feed carries it", nullable=True
        ),
        _field("volume", pa.float64(), "amount traded; fractions are possible", nullable=True),
        _field("source", pa.string(), "the feed the bar came from"),
        _field("produced_at", _UTC_MICROSECONDS, "when the producer made the message, UTC"),
    ],
    metadata={"tickhouse.schema_version": str(SCHEMA_VERSION)},
)
"""What a message carries. Prices and volume may be null here: a feed's gap is landed, and validation says so."""

LINEAGE_SCHEMA = pa.schema(
    [
        _field("topic", pa.string(), "Kafka topic"),
        _field("topic_id", pa.string(), "Kafka's id of that incarnation of the topic"),
        _field("partition", pa.int32(), "Kafka partition"),
        _field("offset", pa.int64(), "offset in the partition"),
        _field("kafka_timestamp", pa.timestamp("ms", tz="UTC"), "the message's Kafka timestamp, UTC"),
    ]
)
"""Where a landed bar came from; (topic_id, partition, offset) is unique."""

ORIGIN_SCHEMA = pa.schema(
    [
        _field("origin_topic_id", pa.string(), "of a replayed dead letter: the id of the topic it first came on", nullable=True),
        _field("origin_partition", pa.int32(), "of a replayed dead letter: its first partition", nullable=True),
        _field("origin_offset", pa.int64(), "of a replayed dead letter: its first offset", nullable=True),
        _field(
            "origin_timestamp",
            pa.timestamp("ms", tz="UTC"),
            "of a replayed dead letter: its first Kafka timestamp, UTC",
            nullable=True,
        ),
    ]
)
"""The place that counts for a replayed dead letter; all null in every other row."""

LANDED_SCHEMA = pa.schema([*BAR_SCHEMA, *LINEAGE_SCHEMA, *ORIGIN_SCHEMA], metadata=BAR_SCHEMA.metadata)
"""A row of a landed slot."""

BAR_KEY = ("symbol", "interval", "ts")
"""A bar's identity; a later message with the same identity is a correction."""

INTERVALS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400, "1w": 604800}
"""Known intervals and their length in seconds."""


def with_coded_texts(schema: pa.Schema) -> pa.Schema:
    """`schema` with each text as a code of a dictionary: how bars are decoded and written."""
    coded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [field.with_type(coded) if pa.types.is_string(field.type) else field for field in schema], metadata=schema.metadata
    )
