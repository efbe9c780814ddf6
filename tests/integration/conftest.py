"""A lake of real prices to read from, and topics to land."""

from __future__ import annotations

from pathlib import Path

import pytest
from market_snapshot import publish_bars, stock_bars

from ingestion.topic import ensure_topic
from tickhouse.settings import IngestorSettings, Settings
from tickhouse.storage import open_storage


@pytest.fixture(scope="session")
def market_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a lake with one snapshot: daily bars of five stocks over 13 years. Nobody publishes to it."""
    folder: Path = tmp_path_factory.mktemp("market")
    settings = Settings(data_dir=folder / "data", _env_file=None)
    publish_bars(open_storage(settings), stock_bars())
    return settings


@pytest.fixture
def topic_settings(kafka_settings: Settings) -> Settings:
    """Settings of a topic that is there, with three partitions, and of an ingestor that flushes soon."""
    ensure_topic(kafka_settings)
    return kafka_settings.model_copy(update={"ingestor": IngestorSettings(flush_seconds=0.1)})


@pytest.fixture
def one_partition(kafka_settings: Settings) -> Settings:
    """The same with one partition, so that offsets are in the order of sending."""
    kafka = kafka_settings.kafka.model_copy(update={"partitions": 1})
    settings = kafka_settings.model_copy(update={"kafka": kafka, "ingestor": IngestorSettings(flush_seconds=0.1)})
    ensure_topic(settings)
    return settings
