"""The compiled handing over of messages to librdkafka, and the counting of its delivery reports."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from ingestion.librdkafka import RawMessage, compiled
from ingestion.memory import int32, memcpy

LOWEST_CODE = -256
"""librdkafka's codes of errors are above it."""

_DELIVERY_REPORTS, _ERROR = 0x1, 0x8
"""RD_KAFKA_EVENT_DR and RD_KAFKA_EVENT_ERROR of rdkafka.h."""

_ERROR_AT = RawMessage.error.offset
_produceva = compiled("produceva", types.uintp, types.uintp, types.uintp, types.uintp)
_queue_poll = compiled("queue_poll", types.uintp, types.uintp, types.int32)
_event_type = compiled("event_type", types.int32, types.uintp)
_event_message_next = compiled("event_message_next", types.uintp, types.uintp)
_event_destroy = compiled("event_destroy", types.void, types.uintp)


@njit(cache=True, nogil=True)
def submit(client, parts, key_ends, keys, value_ends, values, closing, scratch):
    """Hand messages over until one is not taken. Returns how many were, and librdkafka's error on the next one, 0 if all were.

    `keys` and `values` are addresses; the ends are counted from there, after where the first one begins. `scratch` has
    room for a value and the `closing` behind it.
    """
    value, end = np.uintp(scratch.ctypes.data), np.uintp(closing.ctypes.data)
    for at in range(len(key_ends) - 1):
        size = np.int64(value_ends[at + 1] - value_ends[at])
        memcpy(value, np.uintp(values + value_ends[at]), np.uintp(size))
        memcpy(value + np.uintp(size), end, np.uintp(len(closing)))
        parts[0, 1], parts[0, 2] = value, np.uint64(size + len(closing))
        parts[1, 1], parts[1, 2] = np.uint64(keys + key_ends[at]), np.uint64(key_ends[at + 1] - key_ends[at])
        error = _produceva(np.uintp(client), np.uintp(parts.ctypes.data), np.uintp(len(parts)))
        if error != 0:
            return at, error
    return len(key_ends) - 1, np.uintp(0)


@njit(cache=True, nogil=True)
def take_reports(queue, milliseconds, failed, most):
    """Take the queue's events, `most` at most, waiting for the first so long, and count the deliveries they report.

    Those of failures are counted in `failed`, by code.
    Returns (how many were delivered, an error that is not about a message and ends the taking, or 0).
    """
    delivered, taken = 0, 0
    while taken < most:
        event = _queue_poll(np.uintp(queue), np.int32(0 if taken else milliseconds))
        if event == 0:
            break
        kind = _event_type(event)
        if kind == _ERROR:
            return delivered, event
        if kind == _DELIVERY_REPORTS:
            message = _event_message_next(event)
            while message != 0:
                code = int32(message + _ERROR_AT)
                if code == 0:
                    delivered += 1
                else:
                    failed[code - LOWEST_CODE] += 1
                message = _event_message_next(event)
        taken += 1
        _event_destroy(event)
    return delivered, np.uintp(0)
