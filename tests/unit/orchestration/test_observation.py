"""What Dagster sees of the topic and of the landing."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from lake import BEGUN_AT, Lake, bar

from orchestration.definitions import loaded_definitions
from orchestration.observation import landing_metadata, observation_sensors, topic_metadata
from orchestration.resources import Platform
from tickhouse.settings import Settings, as_environment
from transform.observation import TopicUnknownError, see_landing, see_topic
from transform.status import KafkaSide


@pytest.fixture
def lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lake:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    return Lake(settings)


def look(lake: Lake, instance: dg.DagsterInstance, name: str, cursor: str | None = None) -> Any:
    sensor = {each.name: each for each in observation_sensors(lake.settings)}[name]
    context = dg.build_sensor_context(instance, cursor=cursor, definitions=loaded_definitions())
    return sensor(context, platform=Platform())


def test_the_landing_tells_rows_last_offset_and_when_the_newest_bar_was_taken(lake: Lake) -> None:
    lake.land([bar("A", day, 1.0) for day in range(3)])
    lake.land([bar("A", 3, 1.0)])
    seen = landing_metadata(see_landing(lake.storage))
    assert (seen["dagster/row_count"], seen["last_offset"]) == (4, 3)
    assert seen["newest_bar_taken_at"] == dg.MetadataValue.timestamp(BEGUN_AT.timestamp() + 0.003)


def test_the_topic_tells_its_end_and_what_has_not_landed(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    seen = topic_metadata(see_topic(lake.storage, KafkaSide(lake.chain.topic_id, {0: 10, 1: 5})))
    assert (seen["lag"], seen["last_offset"]) == (9 + 5, 9)


def test_kafka_that_does_not_answer_fails_the_topics_observation_and_no_other(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    with pytest.raises(TopicUnknownError, match="nothing listens there"):
        see_topic(lake.storage, KafkaSide(unknown="no broker answers at x: nothing listens there"))
    with dg.DagsterInstance.ephemeral() as instance:
        [observed] = look(lake, instance, "landing_watch").asset_events
        assert observed.asset_key == dg.AssetKey("landed_slot")


def test_what_looks_as_before_is_not_told_again(lake: Lake) -> None:
    lake.land([bar("A", 0, 1.0)])
    with dg.DagsterInstance.ephemeral() as instance:
        first = look(lake, instance, "landing_watch")
        assert isinstance(look(lake, instance, "landing_watch", first.cursor), dg.SkipReason)
        lake.land([bar("A", 1, 1.0)])
        assert look(lake, instance, "landing_watch", first.cursor).asset_events
