"""Every setting, its default and its meaning: the only place that reads the environment and tickhouse.yaml."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml  # type: ignore[import-untyped]
from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "TICKHOUSE_"
CONFIG_VARIABLE = "TICKHOUSE_CONFIG"
DEFAULT_CONFIG = Path("tickhouse.yaml")
ENV_FILE = Path(".env")
UNSET = "null"
"""What a variable says to unset a setting that may be unset; an empty variable counts as none."""

Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]
Indicator = Literal["sma_20", "sma_50", "ema_12", "rsi_14", "volatility_20", "price_change_pct", "mean_volume_20"]
INDICATORS: tuple[Indicator, ...] = get_args(Indicator)

_WRITTEN_AS_NUMBER = BeforeValidator(lambda value: str(value) if type(value) is int else value)
_IN_CAPITALS = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
_WITHOUT_OUTER_SLASHES = BeforeValidator(lambda value: value.strip("/") or None if isinstance(value, str) else value)


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class KafkaSettings(_Group):
    bootstrap_servers: Text = Field("127.0.0.1:9092", description="The broker; `tickhouse broker` listens on the first address.")
    topic: str = Field("bars", pattern=r"^[a-zA-Z0-9._-]{1,200}$", description="The topic bars are written to and landed from.")
    partitions: PositiveInt = Field(3, description="Partitions of a topic that `tickhouse topic create` or the replay makes.")
    group: Text = Field("tickhouse-ingestor", description="The ingestor's consumer group.")
    offset_reset: Literal["earliest", "latest", "error"] = Field(
        "earliest",
        description="Where a chain starts on a partition that was never landed: its first message, its end, or nowhere (error).",
    )


class ProducerSettings(_Group):
    acks: Annotated[Literal["all", "1", "0"], _WRITTEN_AS_NUMBER] = Field(
        "all", description="Broker acknowledgements waited for; the idempotent producer needs `all`."
    )
    rate: PositiveFloat | None = Field(None, description="Messages a second; unset is as fast as the broker takes them.")
    max_messages: PositiveInt | None = Field(None, description="Stop after so many messages; unset is all of them.")
    loop: bool = Field(False, description="Start again from the first row at the file's end, until stopped or `max_messages`.")


class IngestorSettings(_Group):
    flush_rows: PositiveInt = Field(100_000, description="A batch of one partition is landed at so many rows,")
    flush_bytes: PositiveInt = Field(64 * 1024 * 1024, description="or so many bytes of messages,")
    flush_seconds: PositiveFloat = Field(0.5, description="or when its oldest message has waited so long, whichever comes first.")


class StorageSettings(_Group):
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
    enabled: bool = Field(True, description="Compute indicators and alerts. Off: bars are served without them.")
    indicators: tuple[Indicator, ...] = Field(
        INDICATORS, description="Which indicators are computed; the others are null. An alert needs its own."
    )
    alert_thresholds: AlertThresholds = AlertThresholds()

    @property
    def computed(self) -> tuple[Indicator, ...]:
        """The indicators a build computes, in their canonical order; none when analytics is off."""
        return tuple(name for name in INDICATORS if self.enabled and name in self.indicators)


class SnapshotSettings(_Group):
    retention_seconds: PositiveFloat = Field(3600.0, description="A snapshot that is no longer the newest is kept this long.")


class ApiSettings(_Group):
    host: Text = Field("127.0.0.1", description="Address the API listens on.")
    port: Port = Field(8000, description="Port of the API.")


class PagesSettings(_Group):
    host: Text = Field("127.0.0.1", description="Address the pages listen on.")
    port: Port = Field(8501, description="Port of the pages.")
    refresh_seconds: PositiveFloat = Field(2.0, description="How often an open page looks for a new snapshot.")


class DagsterSettings(_Group):
    host: Text = Field("127.0.0.1", description="Address the Dagster UI listens on.")
    port: Port = Field(3000, description="Port of the Dagster UI.")
    code_server_port: Port = Field(4266, description="Port of Dagster's code server, which workspace.yaml names.")


class DocsSettings(_Group):
    host: Text = Field("127.0.0.1", description="Address the dbt docs are served on.")
    port: Port = Field(8080, description="Port of the dbt docs.")


class LoggingSettings(_Group):
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _IN_CAPITALS] = Field(
        "INFO", description="Least severe record written."
    )
    format: Literal["console", "json"] = Field("console", description="For people, or one JSON object a line.")
    file: Path | None = Field(None, description="Also write to this file; relative to `data_dir`.")
    max_bytes: PositiveInt = Field(10 * 1024 * 1024, description="The file is rotated at this size,")
    backups: NonNegativeInt = Field(5, description="and so many old ones are kept.")


class Settings(BaseSettings):
    """All settings, from (strongest first) arguments, the environment, `.env`, tickhouse.yaml, these defaults.

    A group's setting is `TICKHOUSE_<GROUP>__<NAME>` in the environment and in `.env`, which may hold other
    programs' variables too. A key of ours that is no setting, in any of them, is an error. Relative paths are
    resolved: `data_dir` against the folder of tickhouse.yaml, the others against `data_dir`.
    """

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="forbid", frozen=True)

    data_dir: Path = Field(Path(".tickhouse"), description="What is kept on this machine: lake, warehouse, broker, logs.")
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
        variables = _variables(dotenv_settings.env_file) if isinstance(dotenv_settings, DotEnvSettingsSource) else _variables()
        given = (_from_variables(variables), _from_file(variables))
        return init_settings, *(InitSettingsSource(settings_cls, values) for values in given)

    @property
    def lake_path(self) -> Path:
        return self.data_dir / self.storage.path.expanduser()

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


def load_settings(**overrides: Any) -> Settings:
    """Read tickhouse.yaml (or the file `TICKHOUSE_CONFIG` names), `.env` and the environment.

    `overrides` are top-level settings and win over all. Raises FileNotFoundError when the file named
    by `TICKHOUSE_CONFIG` is missing, ValueError (naming each setting) when a value is refused or unknown.
    """
    settings = Settings(**overrides)
    base = _config_path(_variables()).resolve().parent
    return settings.model_copy(update={"data_dir": (base / settings.data_dir.expanduser()).resolve()})


def environment_names() -> dict[str, tuple[str, ...]]:
    """Every setting's environment variable and its path, `TICKHOUSE_KAFKA__TOPIC` → ("kafka", "topic")."""
    return {name: path for name, (path, _) in _leaves(Settings)}


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process load exactly these settings, whatever its files say."""
    values = settings.model_dump(mode="json")
    result = {}
    for name, path in environment_names().items():
        value: Any = values
        for key in path:
            value = value[key]
        result[name] = value if isinstance(value, str) else json.dumps(value)
    return result


def process_environment() -> dict[str, str]:
    """This process's environment less tickhouse's own variables: the base of a child's environment."""
    return {name: value for name, value in os.environ.items() if not _is_ours(name)}


def _from_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    """What the environment and `.env` say, nested as the settings are."""
    leaves = dict(_leaves(Settings))
    if unknown := sorted(variables.keys() - leaves.keys() - {CONFIG_VARIABLE}):
        raise ValueError(f"not a setting: {', '.join(unknown)}. `tickhouse settings` lists every one.")
    values: dict[str, Any] = {}
    for name in variables.keys() & leaves.keys():
        path, annotation = leaves[name]
        group = values
        for key in path[:-1]:
            group = group.setdefault(key, {})
        group[path[-1]] = _parse(name, variables[name], annotation)
    return values


def _from_file(variables: Mapping[str, str]) -> dict[str, Any]:
    """What tickhouse.yaml says; a group whose lines are all commented out says nothing."""
    path = _config_path(variables)
    if not path.is_file():
        if CONFIG_VARIABLE in variables:
            raise FileNotFoundError(f"{CONFIG_VARIABLE} names {path}, which is not a file")
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise ValueError(f"{path} holds no settings: it must be `group:` lines with `name: value` below them")
    return {name: value for name, value in (values or {}).items() if value is not None}


def _variables(env_file: Any = ENV_FILE) -> dict[str, str]:
    """Our variables, of the environment before `.env`; one that is empty counts as none."""
    sources: tuple[Mapping[str, str | None], ...] = (dotenv_values(env_file) if env_file else {}, os.environ)
    return {name: text for source in sources for name, text in source.items() if text and _is_ours(name)}


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _config_path(variables: Mapping[str, str]) -> Path:
    return Path(variables.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def _leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[tuple[str, ...], Any]]]:
    """Every setting's variable, with its path and annotation."""
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, (*path, key))
        else:
            yield PREFIX + "__".join((*path, key)).upper(), ((*path, key), field.annotation)


def _parse(name: str, text: str, annotation: Any) -> Any:
    """A variable's text as pydantic takes it; lists are JSON or parted by commas."""
    if text == UNSET and type(None) in get_args(annotation):
        return None
    if get_origin(annotation) is not tuple:
        return text
    if not text.startswith("["):
        return [item.strip() for item in text.split(",")]
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is neither a JSON list nor names parted by commas: {error}") from None
