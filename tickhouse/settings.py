"""Every setting, its default and its meaning: the only place that reads the environment and tickhouse.yaml."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

PREFIX = "TICKHOUSE_"
CONFIG_VARIABLE = "TICKHOUSE_CONFIG"
DEFAULT_CONFIG = Path("tickhouse.yaml")

Port = Annotated[int, Field(ge=1, le=65535)]
Indicator = Literal["sma_20", "sma_50", "ema_12", "rsi_14", "volatility_20", "price_change_pct", "mean_volume_20"]
INDICATORS: tuple[Indicator, ...] = Indicator.__args__  # type: ignore[attr-defined]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Group):
    bootstrap_servers: str = Field("127.0.0.1:9092", description="The broker. `tickhouse broker` listens on the first address here.")
    topic: str = Field("bars", pattern=r"^[a-zA-Z0-9._-]{1,200}$", description="The topic bars are written to and landed from.")
    partitions: PositiveInt = Field(3, description="Partitions of a topic that `tickhouse topic create` or the replay makes.")
    group: str = Field("tickhouse-ingestor", description="The ingestor's consumer group.")
    offset_reset: Literal["earliest", "latest", "error"] = Field(
        "earliest", description="Where a chain starts on a partition that was never landed: its first message, its end, or nowhere (an error)."
    )


class ProducerSettings(_Group):
    acks: Literal["all", "1", "0"] = Field("all", description="Broker acknowledgements waited for; the idempotent producer needs `all`.")
    rate: PositiveFloat | None = Field(None, description="Messages a second; unset is as fast as the broker takes them.")
    max_messages: PositiveInt | None = Field(None, description="Stop after so many messages; unset is all of them.")
    loop: bool = Field(False, description="Start again from the first row at the end of the file, until stopped or `max_messages`.")


class IngestorSettings(_Group):
    flush_rows: PositiveInt = Field(100_000, description="A batch of one partition is landed at so many rows,")
    flush_bytes: PositiveInt = Field(64 * 1024 * 1024, description="or so many bytes of messages,")
    flush_seconds: PositiveFloat = Field(0.5, description="or when its oldest message has waited so long, whichever comes first.")


class StorageSettings(_Group):
    kind: Literal["local", "s3"] = Field("local", description="Where the lake is: a folder, or an S3 bucket.")
    path: Path = Field(Path("lake"), description="The lake's folder (kind local); relative to `data_dir`.")
    bucket: str | None = Field(None, description="The lake's bucket (kind s3).")
    prefix: str = Field("", description="Put before every object's key (kind s3).")
    region: str | None = Field(None, description="The bucket's region; unset is the AWS client's own default.")
    endpoint_url: str | None = Field(None, description="Another S3-compatible server.")

    @model_validator(mode="after")
    def _bucket_is_named(self) -> StorageSettings:
        if self.kind == "s3" and not self.bucket:
            raise ValueError("storage.kind is s3: set storage.bucket (TICKHOUSE_STORAGE__BUCKET)")
        return self


class ValidationSettings(_Group):
    max_quarantined_pct: float = Field(20.0, ge=0, le=100, description="A larger share of failing rows blocks the batch,")
    block_from_rows: PositiveInt = Field(100, description="once the batch has at least so many rows.")


class AlertThresholds(_Group):
    price_change_medium_pct: PositiveFloat = Field(5.0, description="A move up or down of more than this is a medium alert.")
    price_change_high_pct: PositiveFloat = Field(10.0, description="A move up or down of more than this is a high alert.")
    volume_spike_pct: PositiveFloat = Field(200.0, description="Volume above this share of the mean of the 20 bars before it.")
    rsi_overbought: float = Field(70.0, ge=0, le=100, description="RSI above this.")
    rsi_oversold: float = Field(30.0, ge=0, le=100, description="RSI below this.")


class AnalyticsSettings(_Group):
    enabled: bool = Field(True, description="Compute indicators and alerts. Off: bars are landed, validated and served without them.")
    indicators: tuple[Indicator, ...] = Field(INDICATORS, description="Which indicators are computed; the others are null. An alert needs its own.")
    alert_thresholds: AlertThresholds = AlertThresholds()

    @property
    def computed(self) -> tuple[Indicator, ...]:
        """The indicators a build computes, in their canonical order; none when analytics is off."""
        return tuple(name for name in INDICATORS if self.enabled and name in self.indicators)


class SnapshotSettings(_Group):
    retention_seconds: PositiveFloat = Field(3600.0, description="A snapshot that is no longer the newest is kept this long.")


class ApiSettings(_Group):
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: Port = Field(8000, description="Port of the API.")


class PagesSettings(_Group):
    host: str = Field("127.0.0.1", description="Address the pages listen on.")
    port: Port = Field(8501, description="Port of the pages.")
    refresh_seconds: PositiveFloat = Field(2.0, description="How often an open page looks for a new snapshot.")


class DagsterSettings(_Group):
    host: str = Field("127.0.0.1", description="Address the Dagster UI listens on.")
    port: Port = Field(3000, description="Port of the Dagster UI.")
    code_server_port: Port = Field(4266, description="Port of Dagster's code server, which workspace.yaml names.")


class DocsSettings(_Group):
    host: str = Field("127.0.0.1", description="Address the dbt docs are served on.")
    port: Port = Field(8080, description="Port of the dbt docs.")


class LoggingSettings(_Group):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe record written.")
    format: Literal["console", "json"] = Field("console", description="For people, or one JSON object a line.")
    file: Path | None = Field(None, description="Also write to this file; relative to `data_dir`.")
    max_bytes: PositiveInt = Field(10 * 1024 * 1024, description="The file is rotated at this size,")
    backups: NonNegativeInt = Field(5, description="and so many old ones are kept.")


class Settings(BaseSettings):
    """All settings, from (strongest first) arguments, the environment, `.env`, tickhouse.yaml, these defaults.

    A group's setting is `TICKHOUSE_<GROUP>__<NAME>` in the environment. An unknown key, in the file or
    the environment, is an error. Relative paths are resolved: `data_dir` against the folder of
    tickhouse.yaml, the others against `data_dir`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", env_ignore_empty=True, extra="forbid", frozen=True
    )

    data_dir: Path = Field(Path(".tickhouse"), description="What the platform keeps on this machine: lake, warehouse, broker, Dagster, logs.")
    kafka: KafkaSettings = KafkaSettings()
    producer: ProducerSettings = ProducerSettings()
    ingestor: IngestorSettings = IngestorSettings()
    storage: StorageSettings = StorageSettings()
    validation: ValidationSettings = ValidationSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    api: ApiSettings = ApiSettings()
    pages: PagesSettings = PagesSettings()
    dagster: DagsterSettings = DagsterSettings()
    docs: DocsSettings = DocsSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, YamlConfigSettingsSource(settings_cls, yaml_file=_config_path())

    @property
    def lake_path(self) -> Path:
        return self.data_dir / self.storage.path

    @property
    def warehouse_path(self) -> Path:
        return self.data_dir / "warehouse.duckdb"

    @property
    def cache_path(self) -> Path:
        """Local copies of immutable objects of a remote lake."""
        return self.data_dir / "cache"

    @property
    def kafka_path(self) -> Path:
        return self.data_dir / "kafka"

    @property
    def dbt_target_path(self) -> Path:
        return self.data_dir / "dbt"

    @property
    def dagster_home(self) -> Path:
        return self.data_dir / "dagster"

    @property
    def log_path(self) -> Path:
        return self.data_dir / "logs"


def _config_path() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def load_settings(**overrides: Any) -> Settings:
    """Read tickhouse.yaml (or the file `TICKHOUSE_CONFIG` names) and the environment.

    `overrides` are top-level settings and win over both. Raises FileNotFoundError when the file named
    by `TICKHOUSE_CONFIG` is missing, ValueError (pydantic's, naming each setting) when a value is refused.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise FileNotFoundError(f"{CONFIG_VARIABLE} names {named}, which is not a file")
    _refuse_unknown_variables()
    settings = Settings(**overrides)
    base = _config_path().resolve().parent
    return settings.model_copy(update={"data_dir": (base / settings.data_dir.expanduser()).resolve()})


def environment_names() -> dict[str, tuple[str, ...]]:
    """Every setting's environment variable and its path, `TICKHOUSE_KAFKA__TOPIC` → ("kafka", "topic")."""
    return {PREFIX + "__".join(path).upper(): path for path in _leaves(Settings)}


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process load exactly these settings."""
    values = settings.model_dump(mode="json")
    result = {}
    for name, path in environment_names().items():
        value: Any = values
        for key in path:
            value = value[key]
        if value is not None:
            result[name] = value if isinstance(value, str) else json.dumps(value)
    return result


def process_environment() -> dict[str, str]:
    """This process's environment less tickhouse's own variables: the base of a child's environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def _leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += _leaves(kind, (*path, name))
        else:
            found.append((*path, name))
    return found


def _refuse_unknown_variables() -> None:
    known = {CONFIG_VARIABLE, *environment_names()}
    groups = {name.rsplit("__", 1)[0] for name in known if "__" in name}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known | groups)
    if unknown:
        raise ValueError(f"not a setting: {', '.join(unknown)}. `tickhouse settings` lists every one.")
