"""All settings together: how they are loaded, and how they are handed on to another process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tickhouse.settings.groups import (
    AnalyticsSettings,
    ApiSettings,
    DocsSettings,
    FreshnessSettings,
    IngestorSettings,
    KafkaSettings,
    LoggingSettings,
    MetricsSettings,
    PagesSettings,
    ProducerSettings,
    SnapshotSettings,
    StorageSettings,
    ValidationSettings,
)
from tickhouse.settings.orchestrating import DagsterSettings
from tickhouse.settings.sources import ENV_FILE, config_path, from_file, from_variables, leaves, read_variables
from tickhouse.settings.telling import DeliverySettings, IncidentSettings


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
    metrics: MetricsSettings = MetricsSettings()
    storage: StorageSettings = StorageSettings()
    validation: ValidationSettings = ValidationSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    delivery: DeliverySettings = DeliverySettings()
    freshness: FreshnessSettings = FreshnessSettings()
    incidents: IncidentSettings = IncidentSettings()
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
        env_file = dotenv_settings.env_file if isinstance(dotenv_settings, DotEnvSettingsSource) else ENV_FILE
        variables = read_variables(env_file)
        given = (from_variables(settings_cls, variables), from_file(variables))
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
    base = config_path(read_variables()).resolve().parent
    return settings.model_copy(update={"data_dir": (base / settings.data_dir.expanduser()).resolve()})


def environment_names() -> dict[str, tuple[str, ...]]:
    """Every setting's environment variable and its path, `TICKHOUSE_KAFKA__TOPIC` → ("kafka", "topic")."""
    return {name: path for name, (path, _) in leaves(Settings)}


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
