"""From message values to bars: what decodes, in BAR_SCHEMA, and what does not, with the stage and the reason."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.origin import ORIGIN_HEADER, Origin, OriginError, read_origin
from tickhouse.bar import BAR_SCHEMA, INTERVALS, SCHEMA_VERSION

Headers = Sequence[tuple[str, bytes | None]] | None
Stage = Literal["origin", "version", "json", "fields", "values"]
"""Where a message fell out: the origin it was replayed with is none, its schema version is unknown, it is no JSON
object, a field is missing or of another type, or a value cannot be (no such interval, no such time)."""

VERSION_HEADER = "schema_version"

_NAMES = BAR_SCHEMA.names
_TIMES = [column.name for column in BAR_SCHEMA if pa.types.is_timestamp(column.type)]
_NUMBERS = {column.name for column in BAR_SCHEMA if pa.types.is_floating(column.type)}
_PARSED_SCHEMA = pa.schema([(name, pa.float64() if name in _NUMBERS else pa.string()) for name in _NAMES])
_NUMBER_TYPES = {float, int, type(None)}
_UTC_TIME = r"^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,6})?Z$"
_FIRST_YEAR = "0001"  # Python's, which every reader's dates go through
_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class Rejected:
    """A message that is not a bar: its place in the batch, where it fell out, and why, for people."""

    index: int
    stage: Stage
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A batch taken apart: `bars` (BAR_SCHEMA) with `indices`, their places in the batch, in order; and the rest.

    `origins` are those of replayed dead letters, by their places in the batch, whether they are bars now or rejected again.
    `extra_fields` counts, by name, the fields that bars do not have and that were left out.
    """

    bars: pa.Table
    indices: pa.Array
    rejected: list[Rejected]
    origins: dict[int, Origin]
    extra_fields: Counter[str]


def decode(values: Sequence[bytes | None], headers: Sequence[Headers]) -> Decoded:
    """Take a batch of messages apart; every message is either a bar or rejected.

    A value is one JSON object with all of BAR_SCHEMA's fields: texts, numbers or null for prices and volume, times as
    ISO 8601 in UTC with a trailing Z. A header `schema_version` other than ours is rejected; a message without that
    header counts as of our version. A header `tickhouse_origin` must be one. Nothing that a message holds raises an error.
    """
    parsed = _Parsed()
    for start in range(0, len(values), _CHUNK_ROWS):
        _parse(values[start : start + _CHUNK_ROWS], headers[start : start + _CHUNK_ROWS], start, parsed)
    table = pa.concat_tables([_PARSED_SCHEMA.empty_table(), *parsed.tables]).combine_chunks()
    return _judge(table, pa.array(parsed.indices, pa.int64()), parsed)


@dataclass
class _Parsed:
    """What was parsed so far: rows in _PARSED_SCHEMA, times still as text, with their places in the batch."""

    tables: list[pa.Table] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    origins: dict[int, Origin] = field(default_factory=dict)
    extra_fields: Counter[str] = field(default_factory=Counter)


class _RejectedError(Exception):
    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def _parse(values: Sequence[bytes | None], headers: Sequence[Headers], start: int, parsed: _Parsed) -> None:
    if (table := _parse_clean(values, headers)) is not None:
        parsed.tables.append(table)
        parsed.indices.extend(range(start, start + len(values)))
        return
    rows = []
    for index, (value, own_headers) in enumerate(zip(values, headers, strict=True), start):
        try:
            if (origin := _origin(own_headers)) is not None:
                parsed.origins[index] = origin
            row, extra = parse_message(value, own_headers)
        except _RejectedError as rejected:
            parsed.rejected.append(Rejected(index, rejected.stage, str(rejected)))
            continue
        rows.append(row)
        parsed.indices.append(index)
        parsed.extra_fields.update(extra)
    parsed.tables.append(pa.Table.from_pylist(rows, schema=_PARSED_SCHEMA))


def _parse_clean(values: Sequence[bytes | None], headers: Sequence[Headers]) -> pa.Table | None:
    """The rows when each message is plainly well-formed, else None: then each is looked at for itself.

    An object that has exactly our fields, and so many commas that it has no more members, says no field twice, which
    the parser would not tell.
    """
    if not _are_plain(headers):
        return None
    try:
        rows = [orjson.loads(value) for value in values]  # type: ignore[arg-type]
    except orjson.JSONDecodeError:
        return None
    if set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(_NAMES)}:
        return None
    if sum(value.count(b",") for value in values if value) != (len(_NAMES) - 1) * len(values):
        return None
    try:
        columns = [[row[name] for row in rows] for name in _NAMES]
    except KeyError:
        return None
    for name, column in zip(_NAMES, columns, strict=True):
        if not set(map(type, column)) <= (_NUMBER_TYPES if name in _NUMBERS else {str}):
            return None
    try:
        return pa.Table.from_arrays(
            [pa.array(column, kind) for column, kind in zip(columns, _PARSED_SCHEMA.types, strict=True)], schema=_PARSED_SCHEMA
        )
    except pa.ArrowInvalid:  # an integer that no float64 equals
        return None


def _are_plain(headers: Sequence[Headers]) -> bool:
    """Whether every message is of a known version, and no replayed dead letter."""
    last: Headers = None
    for own in headers:
        if own is not last:
            if not _is_known_version(own) or any(name == ORIGIN_HEADER for name, _ in own or ()):
                return False
            last = own
    return True


def _origin(headers: Headers) -> Origin | None:
    try:
        return read_origin(headers)
    except OriginError as error:
        raise _RejectedError("origin", str(error)) from None


def _is_known_version(headers: Headers) -> bool:
    versions = [value for name, value in headers or () if name == VERSION_HEADER]
    return not versions or versions[-1] == str(SCHEMA_VERSION).encode()


def parse_message(value: bytes | None, headers: Headers) -> tuple[dict[str, str | float | None], list[str]]:
    """One message's fields as they are written, and the names of those that bars do not have."""
    if not _is_known_version(headers):
        raise _RejectedError("version", f"header {VERSION_HEADER} is not {SCHEMA_VERSION}: {_shown(headers)}")
    document = _parse_object(value)
    missing = [name for name in _NAMES if name not in document]
    if missing:
        raise _RejectedError("fields", f"missing: {', '.join(missing)}")
    row = {name: (_number if name in _NUMBERS else _text)(name, document[name]) for name in _NAMES}
    return row, [name if name.isprintable() else ascii(name) for name in document if name not in row]


def _parse_object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise _RejectedError("json", "no value (a tombstone)")
    try:
        text = value.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_constant=_refuse_constant)
    except RecursionError:
        raise _RejectedError("json", "nested too deeply") from None
    except ValueError as error:
        raise _RejectedError("json", f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _RejectedError("json", f"not a JSON object: {_shown(value)}")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise _RejectedError("json", f"said twice: {_shown(twice)}")
    return document


def _integer(digits: str) -> float:
    return float(digits) + 0.0  # −0 is 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, float):
        raise _RejectedError("fields", f"{name} is not a number: {_shown(value)}")
    if not math.isfinite(value):
        raise _RejectedError("values", f"{name} is beyond what a float64 holds")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _RejectedError("fields", f"{name} is not a text: {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _RejectedError("json", f"{name} is half a surrogate pair: {_shown(value)}") from None
    return value


def _judge(table: pa.Table, indices: pa.Array, parsed: _Parsed) -> Decoded:
    """Sort out rows whose values cannot be, and give the rest their types."""
    columns = dict(zip(table.column_names, (column.combine_chunks() for column in table.columns), strict=True))
    times = {name: _utc_times(columns[name]) for name in _TIMES}
    is_bad = {
        "symbol": (pc.invert(_are_symbols(columns["symbol"])), "is not a name that can be shown"),
        "interval": (pc.invert(pc.is_in(columns["interval"], pa.array(list(INTERVALS)))), f"is none of {', '.join(INTERVALS)}"),
        **{name: (column.is_null(), "is not a UTC time such as 2000-03-01T00:00:00Z") for name, column in times.items()},
    }
    rejected = list(parsed.rejected)
    is_good = pa.repeat(True, table.num_rows)
    for name, (mask, what) in is_bad.items():
        for row in pc.indices_nonzero(pc.and_(mask, is_good)).to_pylist():
            rejected.append(Rejected(indices[row].as_py(), "values", f"{name} {what}: {_shown(columns[name][row].as_py())}"))
        is_good = pc.and_not(is_good, mask)
    bars = pa.Table.from_arrays([times.get(name, columns[name]) for name in _NAMES], names=_NAMES).filter(is_good)
    rejected.sort(key=lambda one: one.index)
    return Decoded(bars.cast(BAR_SCHEMA), indices.filter(is_good), rejected, parsed.origins, parsed.extra_fields)


def _are_symbols(texts: pa.Array) -> pa.Array:
    names = texts.unique().to_pylist()
    return pc.is_in(
        texts, pa.array([name for name in names if name and name.isprintable() and name.strip() == name], pa.string())
    )


def _utc_times(texts: pa.Array) -> pa.Array:
    """The times, null where a text is none."""
    is_like_one = pc.and_(pc.match_substring_regex(texts, _UTC_TIME), pc.greater_equal(texts, _FIRST_YEAR))
    return _cast_times(pc.if_else(is_like_one, texts, None))


def _cast_times(texts: pa.Array) -> pa.Array:
    kind = BAR_SCHEMA.field("ts").type
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:  # a 30th of February among them: halve, until it is alone
        if len(texts) == 1:
            return pa.nulls(1, kind)
        middle = len(texts) // 2
        return pa.concat_arrays([_cast_times(texts[:middle]), _cast_times(texts[middle:])])


def _shown(value: Any, limit: int = 80) -> str:
    text = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    return text if len(text) <= limit else f"{text[:limit]}…"
