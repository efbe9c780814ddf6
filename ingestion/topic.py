"""The topic bars travel on: made with the broker's clock as its time, and identified."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from tickhouse.settings import Settings

LOG_APPEND_TIME = "LogAppendTime"
_TIMESTAMP_TYPE = "message.timestamp.type"
_SECONDS = 10.0
_MOCK_CLUSTER = "mockCluster"

UNREACHABLE = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._DESTROY_BROKER,  # the client lost its last broker, and begins at the bootstrap servers again
    }
)
"""What Kafka's client says when no broker is there to answer. It finds one by itself when there is one again."""


class BrokerUnreachableError(ConnectionError):
    """No broker answers at `kafka.bootstrap_servers`."""


class TopicMissingError(LookupError):
    """The broker has no such topic."""


@dataclass(frozen=True)
class TopicIdentity:
    """One incarnation of a topic. `timestamp_type` is LogAppendTime (the broker's clock) or CreateTime (the producers')."""

    name: str
    topic_id: str
    partitions: int
    timestamp_type: str


def describe_topic(settings: Settings, timeout_seconds: float = _SECONDS) -> TopicIdentity:
    """The topic `kafka.topic` as the broker has it.

    Raises TopicMissingError when there is none, BrokerUnreachableError when no broker answers in time.
    """
    return _describe(_connect(settings), settings, timeout_seconds)


class TopicWatch:
    """One connection that says, as often as it is asked, which incarnation of a topic there is now."""

    def __init__(self, settings: Settings, topic: TopicIdentity) -> None:
        self._settings = settings
        self._is_mock = topic.topic_id.startswith(_MOCK_CLUSTER)
        self._admin = _connect(settings)

    def topic_id(self, timeout_seconds: float = _SECONDS) -> str:
        """The topic's id of this moment. Raises as `describe_topic` does."""
        try:
            if self._is_mock:
                return str(self._admin.list_topics(timeout=timeout_seconds).cluster_id)
            return _id_text(_description(self._admin, self._settings.kafka.topic, timeout_seconds).topic_id)
        except KafkaException as error:
            _raise(error, self._settings)


def ensure_topic(settings: Settings, timeout_seconds: float = _SECONDS) -> TopicIdentity:
    """The topic `kafka.topic`, made with `kafka.partitions` and LogAppendTime when there is none.

    A topic that exists is left as it is, whatever its partitions and timestamps. Raises
    BrokerUnreachableError when no broker answers, KafkaException when the broker refuses to make it.
    """
    admin = _connect(settings)
    try:
        return _describe(admin, settings, timeout_seconds)
    except TopicMissingError:
        _create(admin, settings, timeout_seconds)
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return _describe(admin, settings, timeout_seconds)
        except TopicMissingError:  # the broker is told of a new topic a moment after the controller made it
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _connect(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers, "log_level": 0})


def _create(admin: AdminClient, settings: Settings, seconds: float) -> None:
    kafka = settings.kafka
    topic = NewTopic(kafka.topic, kafka.partitions, -1, config={_TIMESTAMP_TYPE: LOG_APPEND_TIME})
    try:
        admin.create_topics([topic], request_timeout=seconds)[kafka.topic].result()
    except KafkaException as error:
        if _code(error) != KafkaError.TOPIC_ALREADY_EXISTS:
            _raise(error, settings)


def _describe(admin: AdminClient, settings: Settings, seconds: float) -> TopicIdentity:
    name = settings.kafka.topic
    try:
        cluster = admin.list_topics(timeout=seconds)
        if (cluster.cluster_id or "").startswith(_MOCK_CLUSTER):
            return _describe_mock(admin, name, seconds)
        topic = _description(admin, name, seconds)
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        config = admin.describe_configs([resource], request_timeout=seconds)[resource].result()
    except KafkaException as error:
        _raise(error, settings)
    return TopicIdentity(name, _id_text(topic.topic_id), len(topic.partitions), config[_TIMESTAMP_TYPE].value)


def _description(admin: AdminClient, name: str, seconds: float) -> Any:
    return admin.describe_topics(TopicCollection([name]), request_timeout=seconds)[name].result()


def _id_text(topic_id: object) -> str:
    return str(topic_id).replace("+", "-").replace("/", "_")  # as Kafka's tools write it, and fit for a path


def _describe_mock(admin: AdminClient, name: str, seconds: float) -> TopicIdentity:
    """librdkafka's mock cluster answers metadata requests only, by making the topic; the cluster is its incarnation."""
    cluster = admin.list_topics(name, timeout=seconds)
    return TopicIdentity(name, str(cluster.cluster_id), len(cluster.topics[name].partitions), "CreateTime")


def _raise(error: KafkaException, settings: Settings) -> NoReturn:
    kafka = settings.kafka
    if _code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise TopicMissingError(
            f"the broker at {kafka.bootstrap_servers} has no topic {kafka.topic}: `tickhouse topic create` makes it"
        ) from None
    if _code(error) in UNREACHABLE:
        raise BrokerUnreachableError(
            f"no broker answers at {kafka.bootstrap_servers} ({error.args[0].str()}). `tickhouse broker` starts one here; "
            "kafka.bootstrap_servers (TICKHOUSE_KAFKA__BOOTSTRAP_SERVERS) names another."
        ) from None
    raise error


def _code(error: KafkaException) -> int:
    return int(error.args[0].code())
