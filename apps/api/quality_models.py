"""What the API answers of the data's quality: every field, and when it is null."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from apps.api.models import Answer, BarInterval, Symbol


class QualityMonth(BaseModel):
    """What landed of one symbol and interval in one month: landed = current + duplicate + corrected + quarantined."""

    symbol: Symbol
    interval: BarInterval
    month: date = Field(description="The month's first day; a bar is of the month of its `ts` in UTC.")
    landed_rows: int = Field(description="Messages with a bar of this month that landed.")
    current_rows: int = Field(description="Bars that count: the newest message of each (symbol, interval, ts).")
    duplicate_rows: int = Field(description="Messages that repeat the one before them of the same bar, value for value.")
    corrected_rows: int = Field(description="Messages that say something else than the one before them of the same bar.")
    quarantined_rows: int = Field(description="Messages that failed validation.")
    quarantined_by_rule: dict[str, int] = Field(
        description="How many of them broke each rule, by the rule's name; one that broke several counts for each."
    )
    late_bars: int = Field(description="Bars that came after a later one of the same symbol and interval.")
    expected_bars: int | None = Field(
        description="Of daily bars: the exchange's sessions from the symbol's first daily bar to its last, of crypto every day; "
        "null for other intervals, and where the exchange or its calendar is not known."
    )
    missing_bars: int | None = Field(description="Expected bars that there are none of: gaps.")
    off_session_bars: int | None = Field(description="Bars on days that are no session of the exchange.")
    first_ts: datetime | None = Field(description="Start of the earliest bar that passed validation, UTC; null where none did.")
    last_ts: datetime | None = Field(description="Start of the latest such bar, UTC.")


class DataQuality(Answer):
    """A page of months in the order of (symbol, interval, month)."""

    total: int = Field(description="Rows that match, on all pages together.")
    limit: int
    offset: int
    months: list[QualityMonth]
