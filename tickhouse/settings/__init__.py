"""Every setting, its default and its meaning: the only place that reads the environment and tickhouse.yaml."""

from tickhouse.settings.groups import (
    INDICATORS,
    AlertThresholds,
    AnalyticsSettings,
    ApiSettings,
    DagsterSettings,
    DocsSettings,
    Indicator,
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
from tickhouse.settings.settings import Settings, as_environment, environment_names, load_settings
from tickhouse.settings.sources import CONFIG_VARIABLE, PREFIX, process_environment

__all__ = [
    "CONFIG_VARIABLE",
    "INDICATORS",
    "PREFIX",
    "AlertThresholds",
    "AnalyticsSettings",
    "ApiSettings",
    "DagsterSettings",
    "DocsSettings",
    "Indicator",
    "IngestorSettings",
    "KafkaSettings",
    "LoggingSettings",
    "MetricsSettings",
    "PagesSettings",
    "ProducerSettings",
    "Settings",
    "SnapshotSettings",
    "StorageSettings",
    "ValidationSettings",
    "as_environment",
    "environment_names",
    "load_settings",
    "process_environment",
]
