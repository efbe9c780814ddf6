"""Asking again: what does not answer now and may later, with a backoff, until somebody says stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException

from ingestion.metrics import Awaited
from ingestion.topic import UNREACHABLE, BrokerUnreachableError, TopicMissingError
from tickhouse.storage import StorageUnavailableError

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.25, 5.0

_NAMES = {"storage": "the storage", "kafka": "Kafka"}

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class StoppedError(Exception):
    """Told to stop while waiting for an answer."""


def patiently(
    ask: Callable[[], Answer], stop: threading.Event, *answers: type[Exception], on_retry: Callable[[Awaited], None] | None = None
) -> Answer:
    """What Kafka or the storage answers, asked again until it does; errors of the kinds `answers` are answers, and raised.

    So is any error that will not pass. `on_retry` is told who is going to be asked again. Raises StoppedError when there is
    no answer and `stop` is set.
    """
    backoff = FIRST_BACKOFF_SECONDS
    while True:
        try:
            return ask()
        except (BrokerUnreachableError, TopicMissingError, KafkaException, StorageUnavailableError) as error:
            if isinstance(error, answers) or (isinstance(error, KafkaException) and not _is_passing(error)):
                raise
            awaited: Awaited = "storage" if isinstance(error, StorageUnavailableError) else "kafka"
            if on_retry is not None:
                on_retry(awaited)
            log.warning(f"waiting for {_NAMES[awaited]}", reason=str(error), next_try_seconds=backoff)
        if stop.wait(backoff):
            raise StoppedError
        backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)


def _is_passing(error: KafkaException) -> bool:
    cause: KafkaError = error.args[0]
    return cause.retriable() or cause.code() in UNREACHABLE
