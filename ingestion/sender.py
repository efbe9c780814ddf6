"""Messages handed to librdkafka many at once, and its reports on them taken many at once: no object for any message."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Producer
from numpy.typing import NDArray

from ingestion import librdkafka
from ingestion.messages import VERSION_HEADER
from ingestion.submit import LOWEST_CODE, submit, take_reports
from tickhouse.bar import SCHEMA_VERSION

_TOPIC, _VALUE, _KEY, _FLAGS, _HEADER = 2, 4, 5, 7, 9
_COPY = 2
"""rd_kafka_vtype_t and RD_KAFKA_MSG_F_COPY of rdkafka.h."""

_CODES = 1_024
_TAKEN_AT_ONCE = 1_000
_VERSION_NAME = ctypes.create_string_buffer(VERSION_HEADER.encode())
_VERSION = ctypes.create_string_buffer(str(SCHEMA_VERSION).encode())


def load_compiled_code() -> None:
    """Have everything compiled that a message goes through: a moment from the cache, seconds the first time."""
    nothing = np.zeros(0, np.uint8)
    submit(0, _parts(0), np.zeros(1, np.int32), 0, np.zeros(1, np.int32), 0, nothing, nothing)
    take_reports(0, 0, np.zeros(_CODES, np.int64), 0)


@dataclass(frozen=True)
class Reports:
    """What librdkafka has reported: messages delivered, messages failed by reason, and what it complains of beside."""

    delivered: int
    failed: dict[KafkaError, int]
    complaint: KafkaError | None


class Sender:
    """Hands a producer's messages over, all to one topic and with the schema version as their header.

    Only `take_reports` hears of them: a report that the producer itself comes to take (`poll`, `flush`) is not counted.
    Raises UntriedClientError.
    """

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._client = librdkafka.handle_of(producer)
        self._topic = topic.encode()
        self._failed = np.zeros(_CODES, np.int64)

    def hand_over(self, keys: pa.BinaryArray, values: pa.BinaryArray, end: bytes) -> int:
        """Hand over a message for each key and value, which `end` is added to, until librdkafka holds as many as it may.

        Returns how many it took. Raises KafkaException when it refuses one.
        """
        closing = np.frombuffer(end, np.uint8)
        key_ends, key_data = _contents(keys)
        value_ends, value_data = _contents(values)
        scratch = np.empty(int(np.diff(value_ends).max(initial=0)) + len(end), np.uint8)
        with self._topic_handle() as topic:
            parts = _parts(topic)
            sent, refusal = submit(self._client, parts, key_ends, key_data, value_ends, value_data, closing, scratch)
        error = _refusal(refusal) if refusal else None
        if error is not None and error.code() != KafkaError._QUEUE_FULL:
            raise KafkaException(error)
        return int(sent)

    def take_reports(self, seconds: float) -> Reports:
        """What was reported since, or is within so many seconds."""
        self._failed[:] = 0
        queue = librdkafka.queue_get_main(self._client)
        try:
            delivered, event = take_reports(queue, int(seconds * 1000), self._failed, _TAKEN_AT_ONCE)
        finally:
            librdkafka.queue_destroy(queue)
        failed = {KafkaError(int(at) + LOWEST_CODE): int(self._failed[at]) for at in np.flatnonzero(self._failed)}
        return Reports(int(delivered), failed, _complaint(event) if event else None)

    @contextmanager
    def _topic_handle(self) -> Iterator[int]:
        topic = librdkafka.topic_new(self._client, self._topic, None)
        try:
            yield topic
        finally:
            librdkafka.topic_destroy(topic)


def _contents(array: pa.BinaryArray) -> tuple[NDArray[np.int32], int]:
    """Where each of an array's values ends, after where the first one begins; and the address that is counted from."""
    _, ends, data = array.buffers()
    return np.frombuffer(ends, np.int32)[array.offset :][: len(array) + 1], 0 if data is None else data.address


def _parts(topic: int) -> NDArray[np.uint64]:
    """A message as rd_kafka_produceva takes it: parts of nine words (rd_kafka_vu_t). `submit` fills in the first two."""
    parts = np.zeros((5, 9), np.uint64)
    parts[:, 0] = _VALUE, _KEY, _TOPIC, _FLAGS, _HEADER
    parts[2:4, 1] = topic, _COPY
    parts[4, 1:4] = ctypes.addressof(_VERSION_NAME), ctypes.addressof(_VERSION), len(_VERSION.value)
    return parts


def _refusal(error: int) -> KafkaError:
    """What librdkafka's rd_kafka_error_t says, which is given back to it."""
    try:
        reason = librdkafka.error_string(error).decode(errors="replace")
        is_fatal, requires_abort = librdkafka.error_is_fatal(error), librdkafka.error_txn_requires_abort(error)
        return KafkaError(librdkafka.error_code(error), reason, fatal=bool(is_fatal), txn_requires_abort=bool(requires_abort))
    finally:
        librdkafka.error_destroy(error)


def _complaint(event: int) -> KafkaError:
    """What an error's rd_kafka_event_t says, which is given back to librdkafka."""
    try:
        reason = librdkafka.event_error_string(event).decode(errors="replace")
        is_fatal = bool(librdkafka.event_error_is_fatal(event))
        return KafkaError(librdkafka.event_error(event), reason, fatal=is_fatal)
    finally:
        librdkafka.event_destroy(event)
