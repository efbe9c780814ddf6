"""Fixtures every test may ask for: a real broker, and settings whose data lies in the test's own folder."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.cli.docs_site import ensure_docs
from ingestion.broker import KafkaBroker
from tickhouse.settings import PREFIX, KafkaSettings, Settings


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One real broker for the whole session; a test keeps to a topic and a group of its own."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def parsed_dbt(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The dbt project, parsed and documented as `make setup` leaves it for a user; all workers have this one. Copy it to
    `dbt_target_path`.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent  # xdist's name for a run without workers
    made = Settings(data_dir=shared / "set-up", _env_file=None)
    with (shared / "set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return ensure_docs(made).parent


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Default settings with everything they keep in this test's folder, which is also the working folder.

    The caller's environment, `.env` and tickhouse.yaml have no say.
    """
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def kafka_settings(settings: Settings, kafka_broker: KafkaBroker) -> Settings:
    """`settings` on the session's broker, with a topic and a consumer group that nobody else uses."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    kafka = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers, topic=name, group=name)
    return settings.model_copy(update={"kafka": kafka})
