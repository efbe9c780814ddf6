"""What the API answers: every field with its unit, its basis and when it is null."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tickhouse.settings import Indicator

Ts = Annotated[datetime, Field(description="Start of the bar, UTC; a daily bar stands at 00:00 of its trading date.")]
Pct = Annotated[float | None, Field(description="Per cent.")]
Price = Annotated[float | None, Field(description="In the instrument's currency, as traded.")]
BasisPrice = Annotated[float | None, Field(description="In the instrument's currency, on the price basis.")]
Symbol = Annotated[str, Field(description="Instrument, as its exchange writes it.")]
BarInterval = Annotated[str, Field(description="Length of the bar: 1m, 5m, 15m, 30m, 1h, 4h, 1d or 1w.")]
PriceBasis = Annotated[
    Literal["adjusted", "raw"] | None,
    Field(
        description="What indicators and alerts use: prices adjusted for splits and dividends where the feed has them, or raw."
    ),
]


DerivedBars = Annotated[int, Field(description="Of these, bars that did not land but were derived from finer ones.")]
IsClosed = Annotated[
    bool, Field(description="False while finer bars may still change it: of derived bars the newest. It fires no alert before.")
]


ErrorKind = Literal[
    "unknown_symbol",
    "unknown_snapshot",
    "snapshot_gone",
    "bad_parameter",
    "not_found",
    "method_not_allowed",
    "unavailable",
    "internal",
]


class SnapshotInfo(BaseModel):
    """The published state an answer was read from. Answers with one number agree with each other."""

    number: int = Field(description="Place in the chain of snapshots; a later one is higher.")
    published_at: datetime = Field(description="When it was published, UTC.")


class Answer(BaseModel):
    """What every answer carries."""

    snapshot: SnapshotInfo | None = Field(description="The state this was read from; null before the first publication.")


class Problem(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True)

    parameter: str = Field(description="Where: the parameter's name.")
    message: str = Field(description="What is wrong with it.")


class Error(BaseModel):
    """Why there is no answer, and what to do."""

    error: ErrorKind = Field(description="The kind of error, for programs.")
    message: str = Field(description="What was wrong and what to do about it, for people.")
    problems: list[Problem] = Field(default=[], description="Each parameter that was refused (status 422).")


class Service(Answer):
    """What this is and where to go."""

    name: str
    version: str
    links: dict[str, str] = Field(description="The endpoints, by name.")


class Health(Answer):
    """Whether there is data to serve. The status code is 200 in both states, 503 when the lake cannot be read."""

    status: Literal["ok", "waiting for data"] = Field(
        description="`waiting for data` until the first snapshot with a bar is published."
    )
    message: str = Field(description="The same for people, with what to do.")
    snapshot_age_seconds: float | None = Field(description="Seconds since the snapshot was published.")
    bars: int = Field(description="Bars in the snapshot.")
    derived_bars: DerivedBars


class IntervalCount(BaseModel):
    """How many bars of one interval there are."""

    model_config = ConfigDict(from_attributes=True)

    interval: BarInterval
    bars: int
    derived_bars: DerivedBars


class RuleCount(BaseModel):
    """How often one rule fired at one severity."""

    rule: str
    severity: str
    alerts: int


class BarBalance(BaseModel):
    """Where every landed bar is: landed = current + superseded + quarantined."""

    model_config = ConfigDict(from_attributes=True)

    landed: int = Field(description="Bars decoded from Kafka messages.")
    current: int = Field(description="Bars published; those derived from them are not counted.")
    superseded: int = Field(description="Bars replaced by a later correction, or delivered twice.")
    quarantined: int = Field(description="Bars that failed validation.")


class Stats(Answer):
    """Figures of everything published; zeros and nulls before the first publication."""

    symbols: int
    bars: int = Field(description="Bars published: the balance's `current`, and those derived from them.")
    derived_bars: DerivedBars
    alerts: int
    first_ts: datetime | None = Field(description="Start of the oldest bar, UTC.")
    last_ts: datetime | None = Field(description="Start of the newest bar, UTC.")
    latest_produced_at: datetime | None = Field(description="When the newest message in the snapshot was produced, UTC.")
    seconds_to_publish: float | None = Field(description="From then until the snapshot was published.")
    balance: BarBalance | None
    bars_by_interval: list[IntervalCount] = Field(description="Longest first.")
    alerts_by_rule: list[RuleCount]


class Bar(BaseModel):
    """One bar as it was traded, or as derived from finer ones."""

    symbol: Symbol
    interval: BarInterval
    ts: Ts
    open: Price
    high: Price
    low: Price
    close: Price
    adj_close: Annotated[
        float | None, Field(description="Close adjusted for splits and dividends; null where the feed has none.")
    ]
    volume: Annotated[float | None, Field(description="Amount traded, in the instrument's own unit.")]
    price_basis: PriceBasis
    source: Annotated[str, Field(description="The feed the bar came from.")]
    derived_from: str | None = Field(description="The finer interval it was derived from; null for a bar that landed.")
    is_closed: IsClosed


class Bars(Answer):
    """A page of bars in the order of (symbol, interval, ts)."""

    total: int = Field(description="Bars that match, on all pages together.")
    limit: int
    offset: int
    bars: list[Bar]


class Description(BaseModel):
    """What is known of an instrument beside its bars; null where `dim_instrument` does not describe it."""

    name: str | None = Field(None, description="Full name.")
    kind: str | None = Field(None, description="index, stock or crypto.")
    exchange: str | None = Field(None, description="Usual name of the exchange.")
    mic: str | None = Field(None, description="The exchange's market identifier code, ISO 10383.")
    country: str | None = Field(None, description="The exchange's country, ISO 3166-1 alpha-2.")
    currency: str | None = Field(None, description="Currency of the prices, ISO 4217.")
    time_zone: str | None = Field(None, description="The exchange's time zone, by its IANA name.")


class Instrument(Description):
    """One symbol at one interval."""

    symbol: Symbol
    interval: BarInterval
    bars: int
    derived_bars: DerivedBars
    first_ts: datetime = Field(description="Start of its oldest bar, UTC.")
    last_ts: datetime = Field(description="Start of its newest bar, UTC.")
    close: Price = Field(description="Close of its newest bar, as traded.")
    price_change_pct: Pct = Field(description="Change of its newest bar against the one before, per cent, on the price basis.")
    price_basis: PriceBasis


class Instruments(Answer):
    """Every (symbol, interval) there are bars of, in that order."""

    symbols: list[Instrument]


class IndicatorValues(BaseModel):
    """Indicators as of the bar's close: null during warm-up, and where the settings leave them out."""

    sma_20: BasisPrice = Field(None, description="Mean of the last 20 closes, on the price basis.")
    sma_50: BasisPrice = Field(None, description="Mean of the last 50 closes, on the price basis.")
    ema_12: BasisPrice = Field(None, description="Exponential mean of closes, α = 2/13, seeded with the mean of the first 12.")
    ema_26: BasisPrice = Field(None, description="Exponential mean of closes, α = 2/27, seeded with the mean of the first 26.")
    rsi_14: float | None = Field(None, description="Wilder's relative strength index, 0 to 100; null while nothing moves.")
    macd: float | None = Field(None, description="MACD 12, 26, 9 as TA-Lib seeds it, on the price basis: fast less slow mean.")
    macd_signal: float | None = Field(None, description="Exponential mean of the last 9 values of MACD.")
    macd_histogram: float | None = Field(None, description="MACD less its signal.")
    bollinger_upper_20: BasisPrice = Field(
        None, description="SMA 20 plus 2 population standard deviations of the 20 closes, on the price basis."
    )
    bollinger_lower_20: BasisPrice = Field(None, description="SMA 20 less 2 of these, on the price basis.")
    atr_14: BasisPrice = Field(None, description="Wilder's average true range, on the price basis.")
    volatility_20: float | None = Field(
        None, description="Sample standard deviation of the last 20 simple returns: a fraction, not annualised."
    )
    price_change_pct: Pct = Field(None, description="Close against the previous close, per cent, on the price basis.")
    mean_volume_20: float | None = Field(None, description="Mean of the last 20 volumes.")


class LatestBar(IndicatorValues, Bar):
    """The newest bar with its indicators."""

    basis_open: BasisPrice
    basis_high: BasisPrice
    basis_low: BasisPrice
    basis_close: BasisPrice


class FiftyTwoWeeks(BaseModel):
    """The 52 weeks up to the newest bar, on the price basis."""

    bars: int
    first_ts: Ts
    last_ts: Ts
    high: BasisPrice
    high_at: datetime | None = Field(description="Start of the bar with the high, UTC.")
    low: BasisPrice
    low_at: datetime | None = Field(description="Start of the bar with the low, UTC.")
    change_pct: Pct = Field(description="Last close against the first of these bars, per cent.")
    mean_volume: float | None


class Alert(BaseModel):
    """One rule that fired on one bar."""

    alert_id: str = Field(description="The same for the same (symbol, interval, ts, rule), in every snapshot.")
    symbol: Symbol
    interval: BarInterval
    ts: Ts
    rule: str = Field(description="The rule that fired, such as price_change or sma_cross_up; docs/alerts.md has them all.")
    severity: str = Field(description="low, medium or high.")
    value: float | None = Field(
        description="What was measured, in the threshold's unit: per cent, points of RSI, of MACD a price."
    )
    threshold: float | None = Field(description="What it was measured against.")


class SymbolSummary(Description, Answer):
    """One symbol at a glance; nulls and empty lists where there is no data yet."""

    symbol: Symbol
    interval: BarInterval | None = Field(description="The interval shown; null when there is no data yet and none was asked for.")
    intervals: list[str] = Field(description="Every interval there are bars of, longest first.")
    derived_intervals: list[str] = Field(description="Those of them of which no bar landed: all were derived from finer ones.")
    latest: LatestBar | None
    fifty_two_weeks: FiftyTwoWeeks | None
    alerts: list[Alert] = Field(description="The newest ten, newest first.")


class ClosePoint(BaseModel):
    """One bar's close."""

    ts: Ts
    close: BasisPrice
    is_closed: IsClosed


class IndicatorPoint(IndicatorValues, ClosePoint):
    """One bar's close and the indicators asked for; those not asked for are left out."""


class Indicators(Answer):
    """A symbol's indicators in the order of ts."""

    symbol: Symbol
    interval: BarInterval | None
    price_basis: PriceBasis = Field(description="The newest point's price basis.")
    indicators: list[Indicator] = Field(description="Those in each point.")
    points: list[IndicatorPoint]
