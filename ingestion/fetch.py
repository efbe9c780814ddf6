"""Fetching: the messages of the assigned partitions, in runs of one partition each, copied many at once."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from confluent_kafka import Consumer, KafkaError
from numpy.typing import NDArray

from ingestion import librdkafka
from ingestion.batch import Batch
from ingestion.decode import decode
from ingestion.gather import NO_ROOM, ODD, gather, run_end, take
from ingestion.librdkafka import RawMessage
from ingestion.messages import Headers, Messages

FETCHED_AT_ONCE = 10_000


def load_compiled_code() -> None:
    """Have everything compiled that a message goes through: a moment from the cache, half a minute the first time."""
    messages, nothing = Messages(), np.zeros(1, np.uintp)
    decode(messages)
    take(0, 0, nothing[:0], nothing[:0])
    run_end(nothing, 0, 0)
    columns = messages.data, messages.numbers, messages.header_codes
    gather(nothing, nothing, 0, 0, 0, 0, 0, nothing.ctypes.data, *columns, 0, 0)


class MessageQueue:
    """A queue of librdkafka's to which partitions are forwarded; `consumer` keeps the group and calls back.

    One thread uses it, between the consumer's polls. Memory: 10,000 messages at most have left librdkafka's own bound.
    Raises UntriedClientError.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._client = librdkafka.handle_of(consumer)
        self._queue = librdkafka.queue_new(self._client)
        self._events, self._pointers = np.zeros((2, FETCHED_AT_ONCE), np.uintp)
        self._forwarded: set[tuple[str, int]] = set()

    def attach(self, topic: str, partition: int) -> None:
        """Let the partition's messages come here. To be called before it is assigned."""
        self._forward(topic, partition, self._queue)
        self._forwarded.add((topic, partition))

    def close(self) -> None:
        """To be called before the consumer is closed, which waits for every queue."""
        for topic, partition in self._forwarded:
            self._forward(topic, partition, None)
        librdkafka.queue_destroy(self._queue)

    @contextmanager
    def fetch(self, seconds: float) -> Iterator[Iterator[Run]]:
        """The runs that are there now, or come within so many seconds. What the block leaves of them is gone."""
        count = take(self._queue, int(seconds * 1000), self._events, self._pointers)
        fetched = _Fetched(self._events, self._pointers, count)
        try:
            yield iter(fetched)
        finally:
            fetched.discard(fetched.end)

    def _forward(self, topic: str, partition: int, target: int | None) -> None:
        own = librdkafka.queue_get_partition(self._client, topic.encode(), partition)
        librdkafka.queue_forward(own, target)
        librdkafka.queue_destroy(own)


class _Fetched:
    """Events librdkafka gave, and their messages; those from `begin` to `end` are still ours to give back."""

    def __init__(self, events: NDArray[np.uintp], pointers: NDArray[np.uintp], end: int) -> None:
        self.events = events
        self.pointers = pointers
        self.begin = 0
        self.end = end

    def __iter__(self) -> Iterator[Run]:
        while self.begin < self.end:
            run = Run(self, run_end(self.pointers, self.begin, self.end))
            yield run
            self.discard(run.end)

    def message(self) -> RawMessage:
        return RawMessage.from_address(int(self.pointers[self.begin]))

    def place(self) -> tuple[int, int, KafkaError | None]:
        """Partition and offset of the next event, and the error that it is if it is no message."""
        if self.pointers[self.begin] != 0:
            first = self.message()
            return first.partition, first.offset, None
        event = int(self.events[self.begin])
        error = KafkaError(librdkafka.event_error(event), librdkafka.event_error_string(event).decode(errors="replace"))
        if not (place := librdkafka.event_topic_partition(event)):
            return -1, -1, error
        try:
            return place.contents.partition, place.contents.offset, error
        finally:
            librdkafka.topic_partition_destroy(place)

    def discard(self, end: int) -> None:
        while self.begin < end:
            librdkafka.event_destroy(int(self.events[self.begin]))
            self.begin += 1


class Run:
    """Messages of one partition that follow each other, or one error. What is left when the next run is asked for is gone."""

    def __init__(self, fetched: _Fetched, end: int) -> None:
        self._fetched = fetched
        self.end = end
        self.partition, self.offset, self.error = fetched.place()
        self._scratch = np.empty(4, np.uintp)

    def __len__(self) -> int:
        """How many messages are left in it."""
        return self.end - self._fetched.begin

    def move_to(self, batch: Batch, now: float) -> None:
        """Move messages into the batch until the run ends or the batch is full; those below its next offset are dropped."""
        messages, fetched = batch.messages, self._fetched
        rows_end = messages.rows + batch.limits.rows - len(messages)
        used_end = messages.used + batch.limits.bytes - messages.size
        why = NO_ROOM
        while why in (NO_ROOM, ODD):
            fetched.begin, why, messages.rows, messages.used, next_offset = gather(
                fetched.events,
                fetched.pointers,
                fetched.begin,
                self.end,
                batch.next_offset,
                rows_end,
                used_end,
                self._scratch.ctypes.data,
                messages.data,
                messages.numbers,
                messages.header_codes,
                messages.rows,
                messages.used,
            )
            batch.pass_over(next_offset, now)
            if why == NO_ROOM:
                first = fetched.message()
                messages.make_room(min(len(self), rows_end - messages.rows), first.value_size + first.key_size)
            elif why == ODD:
                self._append_one(batch, now)

    def _append_one(self, batch: Batch, now: float) -> None:
        first = self._fetched.message()
        timestamp = librdkafka.message_timestamp(ctypes.addressof(first), None)
        key, value = _bytes(first.key, first.key_size), _bytes(first.value, first.value_size)
        batch.append(first.offset, timestamp, key, value, _headers(first), now)
        self._fetched.discard(self._fetched.begin + 1)


def _headers(message: RawMessage) -> Headers:
    """The message's headers as `confluent_kafka` would give them."""
    headers, name, value, size = ctypes.c_void_p(), ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
    found: list[tuple[str, bytes | None]] = []
    if librdkafka.message_headers(ctypes.addressof(message), ctypes.byref(headers)) == 0:
        while librdkafka.header_get_all(headers, len(found), ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)) == 0:
            found.append(((name.value or b"").decode(errors="replace"), _bytes(value.value, size.value)))
    return found or None


def _bytes(address: int | None, size: int) -> bytes | None:
    return None if address is None else ctypes.string_at(address, size)
