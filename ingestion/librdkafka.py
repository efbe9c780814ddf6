"""librdkafka's C interface, the little of it that is needed, and the compiled copying of messages into columns."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding
import numpy as np
from confluent_kafka import cimpl
from numba import carray, njit, types

from ingestion.memory import WORD, int32, int64, pointer
from ingestion.messages import (
    KEY_SIZE,
    NO_HEADERS,
    OFFSET,
    OUR_HEADERS,
    START,
    TIMESTAMP,
    VALUE_SIZE,
    VERSION_HEADER,
)
from tickhouse.bar import SCHEMA_VERSION


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


_LIBRARY = ctypes.CDLL(cimpl.__file__)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_LIBRARY, f"rd_kafka_{name}")
    function.restype, function.argtypes = result, arguments
    return function


queue_new = _function("queue_new", ctypes.c_void_p, ctypes.c_void_p)
queue_destroy = _function("queue_destroy", None, ctypes.c_void_p)
queue_forward = _function("queue_forward", None, ctypes.c_void_p, ctypes.c_void_p)
queue_get_partition = _function("queue_get_partition", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32)
event_destroy = _function("event_destroy", None, ctypes.c_void_p)
event_error = _function("event_error", ctypes.c_int, ctypes.c_void_p)
event_error_string = _function("event_error_string", ctypes.c_char_p, ctypes.c_void_p)
event_topic_partition = _function("event_topic_partition", ctypes.POINTER(RawPlace), ctypes.c_void_p)
topic_partition_destroy = _function("topic_partition_destroy", None, ctypes.POINTER(RawPlace))
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
_COMPILED = (
    *("queue_poll", "event_message_next", "event_destroy"),
    *("message_timestamp", "message_headers", "header_cnt", "header_get_all"),
)
for _name in _COMPILED:
    _address = ctypes.cast(getattr(_LIBRARY, f"rd_kafka_{_name}"), ctypes.c_void_p).value
    llvmlite.binding.add_symbol(f"rd_kafka_{_name}", _address)  # so that compiled code is cached by name, not by address

_c_queue_poll = types.ExternalFunction("rd_kafka_queue_poll", types.uintp(types.uintp, types.int32))
_c_event_message_next = types.ExternalFunction("rd_kafka_event_message_next", types.uintp(types.uintp))
_c_event_destroy = types.ExternalFunction("rd_kafka_event_destroy", types.void(types.uintp))
_c_message_timestamp = types.ExternalFunction("rd_kafka_message_timestamp", types.int64(types.uintp, types.uintp))
_c_message_headers = types.ExternalFunction("rd_kafka_message_headers", types.int32(types.uintp, types.uintp))
_c_header_cnt = types.ExternalFunction("rd_kafka_header_cnt", types.uintp(types.uintp))
_c_header_get_all = types.ExternalFunction(
    "rd_kafka_header_get_all", types.int32(types.uintp, types.uintp, types.uintp, types.uintp, types.uintp)
)
_memcpy = types.ExternalFunction("memcpy", types.uintp(types.uintp, types.uintp, types.uintp))

_VERSION_NAME = np.frombuffer(VERSION_HEADER.encode() + b"\0", np.uint8)
_VERSION = np.frombuffer(str(SCHEMA_VERSION).encode(), np.uint8)
_PARTITION_AT, _VALUE_AT, _VALUE_SIZE_AT, _KEY_AT, _KEY_SIZE_AT, _OFFSET_AT = (
    getattr(RawMessage, field).offset for field in ("partition", "value", "value_size", "key", "key_size", "offset")
)
ALL, FULL, NO_ROOM, ODD = 0, 1, 2, 3
"""Why `gather` ended."""


@njit(cache=True, nogil=True)
def take(queue, milliseconds, events, pointers):
    """Fill `events` with what the queue holds, or gets within so long, and `pointers` with their messages, 0 for an error.

    Returns how many. Taking events, unlike taking messages, never calls back: confluent_kafka's callbacks abort the process
    when they are called outside of its own poll.
    """
    count = 0
    while count < len(events):
        event = _c_queue_poll(np.uintp(queue), np.int32(milliseconds if count == 0 else 0))
        if event == 0:
            break
        events[count], pointers[count] = event, _c_event_message_next(event)
        count += 1
    return count


@njit(cache=True, nogil=True)
def run_end(pointers, begin, end):
    """Where the messages that begin at `begin` are no longer of one partition; an error is a run of its own."""
    if begin >= end:
        return end
    first = pointers[begin]
    if first == 0:
        return begin + 1
    partition = int32(first + _PARTITION_AT)
    at = begin + 1
    while at < end and pointers[at] != 0 and int32(pointers[at] + _PARTITION_AT) == partition:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _headers_told(message, scratch):
    """NO_HEADERS, OUR_HEADERS, or −1 for others; `scratch` is the address of four words to write to."""
    if _c_message_headers(message, scratch) != 0:
        return NO_HEADERS
    headers = np.uintp(int64(scratch))
    if _c_header_cnt(headers) != 1:
        return -1
    _c_header_get_all(headers, np.uintp(0), scratch + WORD, scratch + 2 * WORD, scratch + 3 * WORD)
    name = carray(pointer(np.uintp(int64(scratch + WORD))), len(_VERSION_NAME), np.uint8)
    for at in range(len(_VERSION_NAME)):
        if name[at] != _VERSION_NAME[at]:
            return -1
    value = np.uintp(int64(scratch + 2 * WORD))
    if value == 0 or int64(scratch + 3 * WORD) != len(_VERSION):
        return -1
    version = carray(pointer(value), len(_VERSION), np.uint8)
    for at in range(len(_VERSION)):
        if version[at] != _VERSION[at]:
            return -1
    return OUR_HEADERS


@njit(cache=True, nogil=True)
def gather(events, pointers, begin, end, next_offset, rows_end, used_end, scratch, data, numbers, header_codes, rows, used):
    """Copy messages of one partition into the columns of `Messages`, and give them back to librdkafka.

    Returns (the first message not taken, why, rows, bytes used, next offset). It stops at so many rows and bytes,
    where the columns have no room, and at a message with headers other than ours.
    """
    for at in range(begin, end):
        message = np.uintp(pointers[at])
        offset = int64(message + _OFFSET_AT)
        if offset < next_offset:
            _c_event_destroy(events[at])
            continue
        if rows >= rows_end or used >= used_end:
            return at, FULL, rows, used, next_offset
        value, value_size = np.uintp(int64(message + _VALUE_AT)), int64(message + _VALUE_SIZE_AT)
        key, key_size = np.uintp(int64(message + _KEY_AT)), int64(message + _KEY_SIZE_AT)
        if rows == len(header_codes) or used + value_size + key_size + WORD > len(data):
            return at, NO_ROOM, rows, used, next_offset
        told = _headers_told(message, scratch)
        if told < 0:
            return at, ODD, rows, used, next_offset
        target = np.uintp(data.ctypes.data)
        _memcpy(target + np.uintp(used), value, np.uintp(value_size))
        _memcpy(target + np.uintp(used + value_size), key, np.uintp(key_size))
        numbers[OFFSET, rows] = offset
        numbers[TIMESTAMP, rows] = _c_message_timestamp(message, np.uintp(0))
        numbers[START, rows] = used
        numbers[VALUE_SIZE, rows] = value_size if value else -1
        numbers[KEY_SIZE, rows] = key_size if key else -1
        header_codes[rows] = told
        _c_event_destroy(events[at])
        rows += 1
        used += value_size + key_size
        next_offset = offset + 1
    return end, ALL, rows, used, next_offset
