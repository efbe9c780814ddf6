"""librdkafka's batch consumption, without a Python object a message."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import llvmlite.binding
import numpy as np
from confluent_kafka import cimpl
from numba import carray, njit, types

from ingestion.memory import pointer

_CONSUMER = 1
_OK = 0
# rd_kafka_message_t in 8-byte words: 0 the error (its low half), 3 the payload, 4 its length.
_MESSAGE_WORDS = 8


_LIBRARY = ctypes.CDLL(cimpl.__file__)  # of confluent-kafka, so that all cases run on the same one


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_P, _S, _I, _N = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_conf_new = _function("rd_kafka_conf_new", _P)
_conf_set = _function("rd_kafka_conf_set", _I, _P, _S, _S, _S, _N)
_new = _function("rd_kafka_new", _P, _I, _P, _S, _N)
_poll_set_consumer = _function("rd_kafka_poll_set_consumer", _I, _P)
_queue_get_consumer = _function("rd_kafka_queue_get_consumer", _P, _P)
_consume_batch_queue = _function("rd_kafka_consume_batch_queue", ctypes.c_ssize_t, _P, _I, _P, _N)
_list_new = _function("rd_kafka_topic_partition_list_new", _P, _I)
_list_add = _function("rd_kafka_topic_partition_list_add", _P, _P, _S, ctypes.c_int32)
_list_set_offset = _function("rd_kafka_topic_partition_list_set_offset", _I, _P, _S, ctypes.c_int32, ctypes.c_int64)
_assign = _function("rd_kafka_assign", _I, _P, _P)
# By name, not by address, so that the compiled code is cached.
llvmlite.binding.add_symbol("rd_kafka_message_destroy", ctypes.cast(_LIBRARY.rd_kafka_message_destroy, _P).value)
_message_destroy = types.ExternalFunction("rd_kafka_message_destroy", types.void(types.uint64))
_memcpy = types.ExternalFunction("memcpy", types.uint64(types.uint64, types.uint64, types.uint64))


class BatchConsumer:
    """Payloads of a topic from its first offset on, gathered into one array."""

    def __init__(self, client_settings: Mapping[str, Any], batch_messages: int) -> None:
        error = ctypes.create_string_buffer(512)
        conf = _conf_new()
        for name, value in client_settings.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if _conf_set(conf, name.encode(), text.encode(), error, len(error)) != _OK:
                raise ValueError(error.value.decode())
        self._client = _new(_CONSUMER, conf, error, len(error))
        if not self._client:
            raise ValueError(error.value.decode())
        _poll_set_consumer(self._client)
        self._queue = _queue_get_consumer(self._client)
        self._messages = np.zeros(batch_messages, np.uint64)
        _gather(self._messages, 0, np.zeros(1, np.uint8), 0)  # compiles

    def assign(self, topic: str, partitions: int) -> None:
        places = _list_new(partitions)
        for partition in range(partitions):
            _list_add(places, topic.encode(), partition)
            _list_set_offset(places, topic.encode(), partition, 0)
        if (code := _assign(self._client, places)) != _OK:
            raise RuntimeError(f"librdkafka refuses the assignment: {code}")

    def take(self, arena: np.ndarray, at: int, most: int, timeout_ms: int) -> tuple[int, int]:
        """Copy up to `most` payloads into `arena` from `at` on; how many they are, and where they end.

        Raises BufferError when the arena cannot hold them.
        """
        count = _consume_batch_queue(self._queue, timeout_ms, self._messages.ctypes.data, min(most, len(self._messages)))
        taken, end = _gather(self._messages, max(count, 0), arena, at)
        if end < 0:
            raise BufferError(f"the arena of {len(arena)} bytes is full")
        return taken, end


@njit(cache=True)
def _gather(messages, count, arena, at):  # type: ignore[no-untyped-def]
    """Copy the payloads and let go of the messages; a negative end when the arena is too small."""
    base = np.uint64(arena.ctypes.data)
    taken = 0
    for index in range(count):
        words = carray(pointer(messages[index]), _MESSAGE_WORDS, np.uint64)  # type: ignore[call-arg]
        if np.int32(words[0] & np.uint64(0xFFFFFFFF)) == _OK and at >= 0:
            size = np.int64(words[4])
            if at + size > len(arena):
                at = -1
            else:
                _memcpy(base + np.uint64(at), words[3], words[4])
                at += size
                taken += 1
        _message_destroy(messages[index])
    return taken, at
