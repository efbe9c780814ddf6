from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka_messages import as_bars, consume_topic

from ingestion import mock_broker
from ingestion.mock_broker import MockBroker
from ingestion.producer import replay
from ingestion.sources import FEED_SCHEMA, read_sample
from ingestion.topic import describe_topic, ensure_topic
from tickhouse.settings import KafkaSettings, Settings


class Warnings(list[str]):
    """A log that keeps what it was warned of."""

    def warning(self, message: str, **values: object) -> None:
        self.append(f"{message} {values}")


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Warnings:
    kept = Warnings()
    monkeypatch.setattr(mock_broker, "log", kept)
    return kept


@pytest.fixture
def mock(warnings: Warnings) -> Iterator[MockBroker]:
    broker = MockBroker.start("there is no Java")
    yield broker
    broker.stop()


@pytest.fixture
def mock_settings(settings: Settings, mock: MockBroker) -> Settings:
    return settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers=mock.bootstrap_servers)})


def test_the_stand_in_says_loudly_that_it_keeps_nothing_and_why(mock: MockBroker, warnings: Warnings) -> None:
    (warning,) = warnings
    assert "keeps nothing" in warning
    assert "there is no Java" in warning
    assert mock.bootstrap_servers in warning


def test_the_stand_in_carries_a_replay(mock_settings: Settings) -> None:
    bars = read_sample().slice(0, 1000)
    assert replay(mock_settings, bars).delivered == 1000
    received = as_bars(consume_topic(mock_settings)).sort_by([("ts", "ascending"), ("symbol", "ascending")])
    assert received.select(FEED_SCHEMA.names).equals(bars)


def test_a_topic_of_the_stand_in_is_another_one_each_time(mock_settings: Settings) -> None:
    topic = ensure_topic(mock_settings)
    assert describe_topic(mock_settings) == topic
    assert topic.timestamp_type == "CreateTime"
    again = MockBroker.start("again")
    other = mock_settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers=again.bootstrap_servers)})
    assert ensure_topic(other).topic_id != topic.topic_id
    again.stop()
