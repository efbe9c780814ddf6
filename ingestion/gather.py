"""The compiled copying of messages out of librdkafka's memory into columns."""

from __future__ import annotations

import numpy as np
from numba import carray, njit, types

from ingestion.librdkafka import RawMessage, compiled
from ingestion.memory import WORD, int32, int64, memcpy, pointer
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

_queue_poll = compiled("queue_poll", types.uintp, types.uintp, types.int32)
_event_message_next = compiled("event_message_next", types.uintp, types.uintp)
_event_destroy = compiled("event_destroy", types.void, types.uintp)
_message_timestamp = compiled("message_timestamp", types.int64, types.uintp, types.uintp)
_message_headers = compiled("message_headers", types.int32, types.uintp, types.uintp)
_header_cnt = compiled("header_cnt", types.uintp, types.uintp)
_header_get_all = compiled("header_get_all", types.int32, *[types.uintp] * 5)

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
        event = _queue_poll(np.uintp(queue), np.int32(milliseconds if count == 0 else 0))
        if event == 0:
            break
        events[count], pointers[count] = event, _event_message_next(event)
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
    if _message_headers(message, scratch) != 0:
        return NO_HEADERS
    headers = np.uintp(int64(scratch))
    if _header_cnt(headers) != 1:
        return -1
    _header_get_all(headers, np.uintp(0), scratch + WORD, scratch + 2 * WORD, scratch + 3 * WORD)
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
            _event_destroy(events[at])
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
        memcpy(target + np.uintp(used), value, np.uintp(value_size))
        memcpy(target + np.uintp(used + value_size), key, np.uintp(key_size))
        numbers[OFFSET, rows] = offset
        numbers[TIMESTAMP, rows] = _message_timestamp(message, np.uintp(0))
        numbers[START, rows] = used
        numbers[VALUE_SIZE, rows] = value_size if value else -1
        numbers[KEY_SIZE, rows] = key_size if key else -1
        header_codes[rows] = told
        _event_destroy(events[at])
        rows += 1
        used += value_size + key_size
        next_offset = offset + 1
    return end, ALL, rows, used, next_offset
