"""Bars as Kafka messages: the key and the JSON object that is the value."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import orjson
import pyarrow as pa
import pyarrow.compute as pc


def encode_bars(bars: pa.Table) -> tuple[pa.BinaryArray, pa.BinaryArray]:
    """Each bar's key, and its value less the end that `closing` gives: the columns' JSON, joined row by row.

    `bars` are in the sources' FEED_SCHEMA. Numbers are written so that reading them gives the same float64; what JSON
    has no number for (NaN, the infinities) is null.
    """
    parts: list[pa.Array | str] = []
    for position, name in enumerate(bars.column_names):
        parts += ["," if position else "{", f'"{name}":', _json(bars[name].combine_chunks())]
    values = pc.binary_join_element_wise(*parts, "") if bars.num_rows else pa.array([], pa.string())
    return bars["symbol"].combine_chunks().cast(pa.binary()), values.cast(pa.binary())


def closing(produced_at: datetime) -> bytes:
    """The end of a value produced at `produced_at`, which must be in UTC."""
    return b',"produced_at":"' + produced_at.replace(tzinfo=None).isoformat(timespec="microseconds").encode() + b'Z"}'


def _json(values: pa.Array) -> pa.Array | str:
    if values.null_count == len(values):
        return "null"
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.is_finite(values), values.cast(pa.string()), None).fill_null("null")
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary
    if pa.types.is_timestamp(values.type):
        texts = _iso_times(distinct)
    else:
        texts = pa.array([orjson.dumps(value).decode() for value in distinct.to_pylist()], pa.string())
    return texts.take(encoded.indices)


def _iso_times(times: pa.Array) -> pa.Array:
    with suppress(pa.ArrowInvalid):  # where some have fractions of a second, all are written with microseconds
        times = times.cast(pa.timestamp("s", tz="UTC"))
    return pc.strftime(times, format='"%Y-%m-%dT%H:%M:%SZ"')
