"""The groups of settings: every setting's type, default and meaning."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]
Month = Annotated[str, Field(pattern=r"^[1-9]\d{3}-(0[1-9]|1[0-2])$")]
Cron = Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
Indicator = Literal[
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_histogram",
    "bollinger_upper_20",
    "bollinger_lower_20",
    "atr_14",
    "volatility_20",
    "price_change_pct",
    "mean_volume_20",
]
AlertRule = Literal[
    "price_change",
    "volume_spike",
    "rsi_overbought",
    "rsi_oversold",
    "sma_cross_up",
    "sma_cross_down",
    "macd_cross_up",
    "macd_cross_down",
    "bollinger_break_up",
    "bollinger_break_down",
    "high_52_week",
    "low_52_week",
]
Severity = Literal["low", "medium", "high"]
INDICATORS: tuple[Indicator, ...] = get_args(Indicator)
DerivedInterval = Literal["5m", "1h", "1d", "1w"]
DERIVED_INTERVALS: tuple[DerivedInterval, ...] = get_args(DerivedInterval)

_WRITTEN_AS_NUMBER = BeforeValidator(lambda value: str(value) if type(value) is int else value)
_IN_CAPITALS = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
_WITHOUT_OUTER_SLASHES = BeforeValidator(lambda value: value.strip("/") or None if isinstance(value, str) else value)
_SHORTEST_FIRST = AfterValidator(lambda chosen: tuple(name for name in DERIVED_INTERVALS if name in chosen))


def _read_times(value: object) -> object:
    try:
        return float(value.strip().removesuffix("x")) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("how many times as fast is a number, with or without an x: 60 or 60x") from None


class Group(BaseModel):
    """A group of settings: it takes no key it does not know, and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class KafkaSettings(Group):
    bootstrap_servers: Text = Field("127.0.0.1:9092", description="The broker; `tickhouse broker` listens on the first address.")
    topic: str = Field("bars", pattern=r"^[a-zA-Z0-9._-]{1,200}$", description="The topic bars are written to and landed from.")
    partitions: PositiveInt = Field(3, description="Partitions of a topic that `tickhouse topic create` or the replay makes.")
    group: Text = Field("tickhouse-ingestor", description="The ingestor's consumer group.")
    offset_reset: Literal["earliest", "latest", "error"] = Field(
        "earliest",
        description="Where a chain starts on a partition that was never landed: its first message, its end, or nowhere (error).",
    )


class ProducerSettings(Group):
    acks: Annotated[Literal["all", "1", "0"], _WRITTEN_AS_NUMBER] = Field(
        "all", description="Broker acknowledgements waited for; the idempotent producer needs `all`."
    )
    rate: PositiveFloat | None = Field(None, description="Messages a second; unset is as fast as the broker takes them.")
    speed: Annotated[PositiveFloat | None, BeforeValidator(_read_times)] = Field(
        None,
        description="Instead of `rate`: by the bars' own time, so many times as fast. At 60 (or 60x) a minute takes a second.",
    )
    max_messages: PositiveInt | None = Field(None, description="Stop after so many messages; unset is all of them.")
    loop: bool = Field(False, description="Start again from the first row at the file's end, until stopped or `max_messages`.")
    resume: bool = Field(
        False,
        description="Go on where an earlier replay of the same feed stopped or was killed; nothing is repeated or left out.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ProducerSettings:
        if self.rate is not None and self.speed is not None:
            raise ValueError("producer.rate and producer.speed exclude each other: unset one (null does)")
        if self.resume and self.acks != "all":
            raise ValueError(f"producer.resume needs producer.acks to be all: with {self.acks} a message can be lost or repeated")
        return self


class IngestorSettings(Group):
    flush_rows: PositiveInt = Field(100_000, description="A batch of one partition is landed at so many rows,")
    flush_bytes: PositiveInt = Field(64 * 1024 * 1024, description="or so many bytes of messages,")
    flush_seconds: PositiveFloat = Field(0.5, description="or when its oldest message has waited so long, whichever comes first.")
    buffer_bytes: PositiveInt = Field(
        256 * 1024 * 1024, description="So many bytes of messages are held at most, over all partitions, whatever the backlog."
    )


class MetricsSettings(Group):
    host: Text = Field("127.0.0.1", description="Address an ingestor serves its metrics and health on.")
    port: Port | None = Field(None, description="Port of these; unset is none. Two ingestors on one machine need two.")
    stalled_seconds: PositiveFloat = Field(60.0, description="An ingestor whose loop has stood still for so long is not alive.")


class StorageSettings(Group):
    kind: Literal["local", "s3"] = Field("local", description="Where the lake is: a folder, or an S3 bucket.")
    path: Path = Field(Path("lake"), description="The lake's folder (kind local); relative to `data_dir`.")
    bucket: Text | None = Field(None, description="The lake's bucket (kind s3).")
    prefix: Annotated[str | None, _WITHOUT_OUTER_SLASHES] = Field(
        None, description="The bucket's folder that holds the lake (kind s3); unset is the whole bucket."
    )
    region: Text | None = Field(None, description="The bucket's region; unset is the AWS client's own default.")
    endpoint_url: Text | None = Field(None, description="Another S3-compatible server.")

    @model_validator(mode="after")
    def _bucket_is_named(self) -> StorageSettings:
        if self.kind == "s3" and not self.bucket:
            raise ValueError("storage.kind is s3: set storage.bucket (TICKHOUSE_STORAGE__BUCKET)")
        return self


class ValidationSettings(Group):
    max_quarantined_pct: float = Field(20.0, ge=0, le=100, description="A larger share of failing rows blocks the batch,")
    block_from_rows: PositiveInt = Field(100, description="once the batch has at least so many rows.")
    docs_retention_days: PositiveFloat = Field(30.0, description="Data Docs tell of what was validated no longer ago than this.")


class AlertOverride(Group):
    """What is to be different of an alert rule, for every symbol or for one; the rules are the seed `alert_rule`."""

    rule: AlertRule
    severity: Severity
    symbol: Text | None = None
    threshold: float | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _threshold_can_be_crossed(self) -> AlertOverride:
        if self.threshold is not None and self.rule.startswith("rsi") and not 0 <= self.threshold <= 100:
            raise ValueError(f"{self.rule}: an RSI is from 0 to 100, and never beyond {self.threshold:g}")
        if self.threshold is not None and self.rule in ("price_change", "volume_spike") and self.threshold <= 0:
            raise ValueError(f"{self.rule}: the threshold is above 0, and not {self.threshold:g}")
        return self


def _refuse_twice(overrides: tuple[AlertOverride, ...]) -> tuple[AlertOverride, ...]:
    counts = Counter((each.rule, each.severity, each.symbol) for each in overrides)
    for (rule, severity, symbol), times in counts.items():
        if times > 1:
            raise ValueError(f"{rule}, {severity}, is overridden {times} times for {symbol or 'every symbol'}: once is enough")
    return overrides


_EACH_ONCE = AfterValidator(_refuse_twice)


class AnalyticsSettings(Group):
    enabled: bool = Field(True, description="Compute indicators and alerts. Off: bars are served without them.")
    indicators: tuple[Indicator, ...] = Field(
        INDICATORS, description="Which indicators are shown; the others are null. An alert needs its own."
    )
    derived_intervals: Annotated[tuple[DerivedInterval, ...], _SHORTEST_FIRST] = Field(
        DERIVED_INTERVALS, description="Which coarser bars are derived from finer ones, where none has landed; `[]` is none."
    )
    alert_rules: Annotated[tuple[AlertOverride, ...], _EACH_ONCE] = Field(
        (),
        description="What is different of the seed's alert rules: a list of `{rule, severity, symbol, threshold, enabled}`. "
        "Without a symbol it is for all, without a threshold only `enabled` counts.",
    )

    @property
    def computed(self) -> tuple[Indicator, ...]:
        """The indicators a build computes, in their canonical order; none when analytics is off."""
        return tuple(name for name in INDICATORS if self.enabled and name in self.indicators)


class FreshnessSettings(Group):
    daily_delay_hours: NonNegativeFloat = Field(
        6.0, description="A daily or weekly bar is late when it is not there so long after its session's close,"
    )
    intraday_delay_minutes: NonNegativeFloat = Field(15.0, description="one of minutes or hours so long after its end.")
    live_within_hours: PositiveFloat = Field(
        72.0,
        description="A series is live, and held to the market, once a bar of it landed so soon after its end, else history.",
    )
    retired_symbols: tuple[Text, ...] = Field((), description="Symbols that no more bars are expected of: they are never stale.")
    severity: Literal["warn", "error"] = Field("warn", description="How grave Dagster takes a stale series, and a missing day.")


class SnapshotSettings(Group):
    retention_seconds: PositiveFloat = Field(3600.0, description="A snapshot that is no longer the newest is kept this long.")


class WebSettings(Group):
    """Of what people open in a browser; `url` is for links."""

    host: Text
    port: Port
    url: Text | None

    @property
    def public_url(self) -> str:
        """Where people reach it, without a slash at the end."""
        return (self.url or f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}").rstrip("/")


class ApiSettings(WebSettings):
    host: Text = Field("127.0.0.1", description="Address the API listens on.")
    port: Port = Field(8000, description="Port of the API.")
    url: Text | None = Field(None, description="Where people reach it from elsewhere, for links; unset: at host and port.")


class PagesSettings(WebSettings):
    host: Text = Field("127.0.0.1", description="Address the pages listen on.")
    port: Port = Field(8501, description="Port of the pages.")
    url: Text | None = Field(None, description="Where people reach them from elsewhere, for links; unset: at host and port.")
    refresh_seconds: PositiveFloat = Field(2.0, description="How often an open page looks for a new snapshot.")


class DocsSettings(WebSettings):
    host: Text = Field("127.0.0.1", description="Address that dbt docs and Data Docs are served on.")
    port: Port = Field(8080, description="Their port.")
    url: Text | None = Field(None, description="Where people reach them from elsewhere, for links; unset: at host and port.")

    @property
    def validation_url(self) -> str:
        """Where Data Docs are."""
        return f"{self.public_url}/validation/"


class LoggingSettings(Group):
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _IN_CAPITALS] = Field(
        "INFO", description="Least severe record written."
    )
    format: Literal["console", "json"] = Field("console", description="For people, or one JSON object a line.")
    file: Path | None = Field(None, description="Also write to this file; relative to `data_dir`.")
    max_bytes: PositiveInt = Field(10 * 1024 * 1024, description="The file is rotated at this size,")
    backups: NonNegativeInt = Field(5, description="and so many old ones are kept.")
