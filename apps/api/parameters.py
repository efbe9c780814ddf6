"""What a request may ask. An unknown parameter is refused: a typo must not widen an answer in silence."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator

from apps.market import Selection
from tickhouse.settings import INDICATORS, Indicator

MAX_LIMIT = 10_000
_MAX_DIGITS = 18
IntervalName = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]


def parse_moment(text: Any) -> Any:
    """A date, or a time in UTC, from ISO 8601; a time without a zone is UTC already. Raises ValueError."""
    if not isinstance(text, str):
        return text
    try:
        if len(text) == len("2012-03-01"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("not a date or time in ISO 8601; write 2012-03-01 or 2012-03-01T14:30:00Z") from None


def parse_as_of(text: Any) -> Any:
    """A snapshot's number, or a time in UTC, of a date its first instant. Raises ValueError."""
    if not isinstance(text, str):
        return text
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    try:
        moment = parse_moment(text)
    except ValueError:
        raise ValueError("neither a snapshot's number nor a date or time; write 17 or 2026-11-24T09:30:00Z") from None
    return _first_instant(moment)


def split_names(values: Any) -> Any:
    """`["a,b", "c"]` as `["a", "b", "c"]`: a list may be written with commas or by repeating its parameter."""
    return [name for value in values for name in value.split(",")] if isinstance(values, list) else values


Moment = Annotated[date | datetime, BeforeValidator(parse_moment), WithJsonSchema({"type": "string", "examples": ["2012-03-01"]})]


AsOf = Annotated[
    int | datetime | None,
    BeforeValidator(parse_as_of),
    WithJsonSchema({"type": "string", "examples": ["17", "2026-11-24T09:30:00Z"]}),
    Field(
        description="Answer from an earlier snapshot: its number, or a date or time in UTC at which it was the newest; a date is "
        "its first instant. Those that retention has removed are a 410. Without it, from the newest."
    ),
]


class SnapshotParameters(BaseModel):
    """Which snapshot: every endpoint takes it."""

    model_config = ConfigDict(extra="forbid")

    as_of: AsOf = None


class IntervalParameters(SnapshotParameters):
    """Which length of bars."""

    interval: IntervalName | None = Field(
        None, description="Length of the bars; without it `1d`, or where there is none, the longest that landed."
    )


class RangeParameters(IntervalParameters):
    """From when to when."""

    start: Moment | None = Field(None, description="First date or time, inclusive, in UTC.")
    end: Moment | None = Field(None, description="Last date (with the whole of that day) or time, inclusive, in UTC.")
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="At most so many.")

    @field_validator("end")
    @classmethod
    def _is_not_before_start(cls, end: date | datetime | None, others: ValidationInfo) -> date | datetime | None:
        start, until = others.data.get("start"), _just_after(end)
        if start is not None and until is not None and _first_instant(start) >= until:
            raise ValueError("the end is before the start")
        return end

    def selection(self, symbol: str | None, interval: str | None) -> Selection:
        """The bars this asks for."""
        start = None if self.start is None else _first_instant(self.start)
        return Selection(symbol=symbol, interval=interval, start=start, until=_just_after(self.end))


class BarParameters(RangeParameters):
    """Which bars, and which page of them."""

    symbol: str | None = Field(None, min_length=1, description="Of this instrument only; an unknown one is a 404.")
    interval: IntervalName | None = Field(None, description="Of this length only.")
    derived: bool | None = Field(None, description="`false` leaves out bars derived from finer ones, `true` those that landed.")
    offset: int = Field(0, ge=0, le=2**53, description="Leave out so many; add `limit` to it for the next page.")


class QualityParameters(RangeParameters):
    """Which months, and which page of them."""

    start: Moment | None = Field(None, description="From the month of this date or time on, in UTC.")
    end: Moment | None = Field(None, description="Up to the month of this date or time, inclusive, in UTC.")
    symbol: str | None = Field(None, min_length=1, description="Of this instrument only; one of which nothing landed is a 404.")
    interval: IntervalName | None = Field(None, description="Of this length of bars only.")
    offset: int = Field(0, ge=0, le=2**53, description="Leave out so many; add `limit` to it for the next page.")


class IndicatorParameters(RangeParameters):
    """Which indicators, and of which bars."""

    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="At most so many bars: the newest of the range.")
    indicators: Annotated[list[Indicator], BeforeValidator(split_names)] = Field(
        list(INDICATORS), description="Only these, separated by commas or each as a parameter of its own."
    )


SymbolPath = Annotated[str, Path(min_length=1, description="Instrument, as its exchange writes it.", examples=["AAPL"])]
SnapshotQuery = Annotated[SnapshotParameters, Query()]
IntervalQuery = Annotated[IntervalParameters, Query()]
BarQuery = Annotated[BarParameters, Query()]
QualityQuery = Annotated[QualityParameters, Query()]
IndicatorQuery = Annotated[IndicatorParameters, Query()]


def _first_instant(moment: date | datetime) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time.min, UTC)


def _just_after(moment: date | datetime | None) -> datetime | None:
    """The first instant that is too late; None when there is none, at the end of the calendar too."""
    if moment is None:
        return None
    step = timedelta(microseconds=1) if isinstance(moment, datetime) else timedelta(days=1)
    try:
        return _first_instant(moment) + step
    except OverflowError:
        return None
