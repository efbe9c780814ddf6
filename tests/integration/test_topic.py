from __future__ import annotations

import socket

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from ingestion.topic import BrokerUnreachableError, TopicMissingError, describe_topic, ensure_topic
from tickhouse.settings import KafkaSettings, Settings


@pytest.fixture
def admin(kafka_settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_settings.kafka.bootstrap_servers, "log_level": 0})


def test_a_topic_is_made_once_with_the_brokers_clock(kafka_settings: Settings) -> None:
    with pytest.raises(TopicMissingError, match=rf"has no topic {kafka_settings.kafka.topic}: `tickhouse topic create` makes it"):
        describe_topic(kafka_settings)
    made = ensure_topic(kafka_settings)
    assert (made.name, made.partitions, made.timestamp_type) == (kafka_settings.kafka.topic, 3, "LogAppendTime")
    assert ensure_topic(kafka_settings) == made
    assert describe_topic(kafka_settings) == made


def test_a_topic_that_exists_is_left_as_it_is(kafka_settings: Settings, admin: AdminClient) -> None:
    name = kafka_settings.kafka.topic
    admin.create_topics([NewTopic(name, 1, 1, config={"message.timestamp.type": "CreateTime"})])[name].result()
    found = ensure_topic(kafka_settings)
    assert (found.partitions, found.timestamp_type) == (1, "CreateTime")


def test_a_topic_that_was_made_again_has_another_id(kafka_settings: Settings, admin: AdminClient) -> None:
    first = ensure_topic(kafka_settings)
    admin.delete_topics([first.name])[first.name].result()
    second = ensure_topic(kafka_settings)
    assert second.topic_id != first.topic_id


def test_a_consumer_does_not_make_a_topic_by_asking_for_it(kafka_settings: Settings, admin: AdminClient) -> None:
    admin.list_topics(kafka_settings.kafka.topic, timeout=30)
    with pytest.raises(TopicMissingError):
        describe_topic(kafka_settings)


def test_without_a_broker_its_address_is_named(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        nowhere = settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers=address)})
        with pytest.raises(BrokerUnreachableError, match=rf"no broker answers at {address} .*`tickhouse broker` starts one here"):
            ensure_topic(nowhere, timeout_seconds=0.5)
