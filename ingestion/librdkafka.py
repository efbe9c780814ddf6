"""librdkafka's C interface, the little of it that is needed."""

from __future__ import annotations

import ctypes
from typing import Any

import confluent_kafka
import llvmlite.binding
from confluent_kafka import Consumer, Producer, cimpl
from numba import types


class RawMessage(ctypes.Structure):
    """rd_kafka_message_t of rdkafka.h, which librdkafka keeps as it is."""

    _fields_ = [
        ("error", ctypes.c_int),
        ("topic", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("value", ctypes.c_void_p),
        ("value_size", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_size", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("private", ctypes.c_void_p),
    ]


class RawPlace(ctypes.Structure):
    """The beginning of rd_kafka_topic_partition_t of rdkafka.h."""

    _fields_ = [("topic", ctypes.c_char_p), ("partition", ctypes.c_int), ("offset", ctypes.c_int64)]


TRIED_VERSION = "2.16."
_HANDLE_AT = object.__basicsize__  # where a Consumer or Producer in memory has the pointer to librdkafka's handle
_LIBRARY = ctypes.CDLL(cimpl.__file__)


class UntriedClientError(RuntimeError):
    """A version of confluent-kafka that this was not tried with."""


def handle_of(client: Consumer | Producer) -> int:
    """The address of the client's handle.

    Raises UntriedClientError when confluent-kafka is of another version than this was tried with: a client's layout
    in memory is no public interface, and everything else here is.
    """
    version = str(confluent_kafka.version())
    if not version.startswith(TRIED_VERSION):
        raise UntriedClientError(
            f"confluent-kafka is {version}, tickhouse was tried with {TRIED_VERSION}*: install what requirements.lock says"
        )
    return int(ctypes.c_void_p.from_address(id(client) + _HANDLE_AT).value or 0)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_LIBRARY, f"rd_kafka_{name}")
    function.restype, function.argtypes = result, arguments
    return function


queue_new = _function("queue_new", ctypes.c_void_p, ctypes.c_void_p)
queue_destroy = _function("queue_destroy", None, ctypes.c_void_p)
queue_forward = _function("queue_forward", None, ctypes.c_void_p, ctypes.c_void_p)
queue_get_main = _function("queue_get_main", ctypes.c_void_p, ctypes.c_void_p)
queue_get_partition = _function("queue_get_partition", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32)
error_code = _function("error_code", ctypes.c_int, ctypes.c_void_p)
error_string = _function("error_string", ctypes.c_char_p, ctypes.c_void_p)
error_is_fatal = _function("error_is_fatal", ctypes.c_int, ctypes.c_void_p)
error_txn_requires_abort = _function("error_txn_requires_abort", ctypes.c_int, ctypes.c_void_p)
error_destroy = _function("error_destroy", None, ctypes.c_void_p)
event_destroy = _function("event_destroy", None, ctypes.c_void_p)
event_error = _function("event_error", ctypes.c_int, ctypes.c_void_p)
event_error_is_fatal = _function("event_error_is_fatal", ctypes.c_int, ctypes.c_void_p)
event_error_string = _function("event_error_string", ctypes.c_char_p, ctypes.c_void_p)
event_topic_partition = _function("event_topic_partition", ctypes.POINTER(RawPlace), ctypes.c_void_p)
topic_partition_destroy = _function("topic_partition_destroy", None, ctypes.POINTER(RawPlace))
topic_new = _function("topic_new", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
topic_destroy = _function("topic_destroy", None, ctypes.c_void_p)
message_timestamp = _function("message_timestamp", ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
message_headers = _function("message_headers", ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
header_get_all = _function(
    "header_get_all",
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_size_t),
)


def compiled(name: str, result: Any, *arguments: Any) -> Any:
    """The function `rd_kafka_<name>` for compiled code, which is cached by that name and not by its address."""
    address = ctypes.cast(getattr(_LIBRARY, f"rd_kafka_{name}"), ctypes.c_void_p).value
    llvmlite.binding.add_symbol(f"rd_kafka_{name}", address)
    return types.ExternalFunction(f"rd_kafka_{name}", result(*arguments))
