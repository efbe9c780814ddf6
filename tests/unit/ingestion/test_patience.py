"""What is asked again, and what is told at once."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ingestion import patience
from ingestion.patience import patiently
from ingestion.topic import BrokerUnreachableError, TopicIdentity, TopicWatch
from tickhouse.settings import Settings

NO_BROKER = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._DESTROY_BROKER,
)


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_BACKOFF_SECONDS", 0.0)


@pytest.mark.parametrize("code", NO_BROKER)
def test_kafka_is_asked_again_while_no_broker_answers(code: int) -> None:
    """Found by the demo under kills: a broker that died between a question and its answer ended the ingestor."""
    answers = iter([KafkaException(KafkaError(code)), KafkaException(KafkaError(code)), "an answer"])
    waited = list[str]()

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(ask, threading.Event(), on_retry=waited.append) == "an answer"
    assert waited == ["kafka", "kafka"]


def test_an_error_that_does_not_pass_is_raised_at_once() -> None:
    def ask() -> None:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    with pytest.raises(KafkaException):
        patiently(ask, threading.Event())


@pytest.mark.parametrize("code", NO_BROKER)
def test_a_watched_topics_broker_is_unreachable_however_kafkas_client_puts_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(code))

    watch = TopicWatch(settings, TopicIdentity("bars", "id", 1, "LogAppendTime"))
    monkeypatch.setattr(AdminClient, "describe_topics", fail)
    with pytest.raises(BrokerUnreachableError, match="no broker answers at"):
        watch.topic_id()
