"""One message with care: its bar, or the stage and the reason why it is none. What a message means is said here."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn

import pyarrow as pa

from ingestion.messages import VERSION_HEADER, Headers
from tickhouse.bar import BAR_SCHEMA, INTERVALS, SCHEMA_VERSION

Stage = Literal["origin", "version", "json", "fields", "values"]
"""Where a message fell out: the origin it was replayed with is none, its schema version is unknown, it is no JSON
object, a field is missing or of another type, or a value cannot be (no such interval, no such time)."""

_NAMES = BAR_SCHEMA.names
_TIMES = [column.name for column in BAR_SCHEMA if pa.types.is_timestamp(column.type)]
_NUMBERS = {column.name for column in BAR_SCHEMA if pa.types.is_floating(column.type)}
_UTC_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Row = dict[str, Any]
"""A bar's fields by name: texts, float64s or None, times in UTC microseconds."""


class NotABarError(Exception):
    """The message is no bar; `stage` is where it fell out, the text says why, for people."""

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def parse_message(value: bytes | None, headers: Headers) -> tuple[Row, list[str]]:
    """One message's bar, and the names of its fields that bars do not have. Raises NotABarError, and nothing else."""
    if not _is_known_version(headers):
        raise NotABarError("version", f"header {VERSION_HEADER} is not {SCHEMA_VERSION}: {_shown(list(headers or ()))}")
    document = _parse_object(value)
    missing = [name for name in _NAMES if name not in document]
    if missing:
        raise NotABarError("fields", f"missing: {', '.join(missing)}")
    row: Row = {name: (_number if name in _NUMBERS else _text)(name, document[name]) for name in _NAMES}
    extra = [name if name.isprintable() else ascii(name) for name in document if name not in row]
    if not is_symbol(row["symbol"]):
        raise NotABarError("values", f"symbol is not a name that can be shown: {_shown(row['symbol'])}")
    if row["interval"] not in INTERVALS:
        raise NotABarError("values", f"interval is none of {', '.join(INTERVALS)}: {_shown(row['interval'])}")
    return {**row, **{name: _time(name, document[name]) for name in _TIMES}}, extra


def is_symbol(text: Any) -> bool:
    """Whether a text can name an instrument: it is not empty, can be shown, and has no blanks around it."""
    return bool(text) and text.isprintable() and text.strip() == text


def _is_known_version(headers: Headers) -> bool:
    versions = [value for name, value in headers or () if name == VERSION_HEADER]
    return not versions or versions[-1] == str(SCHEMA_VERSION).encode()


def _parse_object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise NotABarError("json", "no value (a tombstone)")
    try:
        text = value.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_constant=_refuse_constant)
    except RecursionError:
        raise NotABarError("json", "nested too deeply") from None
    except ValueError as error:
        raise NotABarError("json", f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise NotABarError("json", f"not a JSON object: {_shown(value)}")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise NotABarError("json", f"said twice: {_shown(twice)}")
    return document


def _integer(digits: str) -> float:
    return float(digits) + 0.0  # −0 is 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, float):
        raise NotABarError("fields", f"{name} is not a number: {_shown(value)}")
    if not math.isfinite(value):
        raise NotABarError("values", f"{name} is beyond what a float64 holds")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise NotABarError("fields", f"{name} is not a text: {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotABarError("json", f"{name} is half a surrogate pair: {_shown(value)}") from None
    return value


def _time(name: str, text: str) -> int:
    if (found := _UTC_TIME.fullmatch(text)) is not None:
        *parts, fraction = found.groups()
        try:
            at = datetime(*map(int, parts), int((fraction or "0").ljust(6, "0")), tzinfo=UTC)  # type: ignore[arg-type, misc]
        except ValueError:
            pass  # a 30th of February
        else:
            return (at - _EPOCH) // _MICROSECOND
    raise NotABarError("values", f"{name} is not a UTC time such as 2000-03-01T00:00:00Z: {_shown(text)}")


def _shown(value: Any, limit: int = 80) -> str:
    text = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    return text if len(text) <= limit else f"{text[:limit]}…"
