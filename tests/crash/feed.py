"""The known set: bars, poison and aborted transactions, sent all the while, and what the broker acknowledged of them."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException, Producer
from ingesting import VERSION, bar_message

from tickhouse.settings import Settings

Headers = list[tuple[str, bytes]]

SECONDS = 30.0
_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT", "NFLX", "ORCL")
_PAUSE_SECONDS = 0.01
_SLOWED_AT = 1_000
_HEADERS: tuple[Headers, ...] = (VERSION, [], [*VERSION, ("trace", b"\x01\x02")])
_POISON: tuple[tuple[bytes | None, Headers], ...] = (
    (b"\x00\xff no JSON", VERSION),
    (None, VERSION),
    (b"", []),
    (b"null", VERSION),
    (b"[" * 5_000, VERSION),
    (bar_message(1), [("schema_version", b"2"), ("trace", b"\x01\x02")]),
    (bar_message(2, ts="2000-02-30T00:00:00Z"), VERSION),
    (bar_message(3, open="12"), VERSION),
    (bar_message(4) + b"\n" + bar_message(5), VERSION),
)


@dataclass(frozen=True)
class Produced:
    """A message that the broker acknowledged; `timestamp` in ms since 1970 UTC."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    is_bar: bool


@dataclass(frozen=True)
class Sent:
    """What the broker acknowledged: without a transaction, in one that was committed, in one that was aborted."""

    plain: list[Produced] = field(default_factory=list)
    committed: list[Produced] = field(default_factory=list)
    aborted: list[Produced] = field(default_factory=list)


class Feed:
    """Sends to one topic after the other."""

    def __init__(self, bootstrap_servers: str) -> None:
        common = {"bootstrap.servers": bootstrap_servers, "linger.ms": 2, "enable.idempotence": True, "log_level": 0}
        common |= {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 250}
        self._plain = Producer(common)
        self._transactional = Producer({**common, "transactional.id": f"crash-{uuid.uuid4().hex}"})
        self._transactional.init_transactions(SECONDS)

    @contextmanager
    def sending(self, settings: Settings, chance: random.Random) -> Iterator[Sent]:
        """Messages go out until the block is left; what became of them is told by then."""
        stop, sent, errors = threading.Event(), Sent(), list[BaseException]()

        def send() -> None:
            number = 0
            try:
                while not stop.wait(_PAUSE_SECONDS * (1 + number / _SLOWED_AT)):  # a long round needs no more messages
                    number += self._send_some(settings.kafka.topic, number, sent, chance)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield sent
        finally:
            stop.set()
            thread.join(2 * SECONDS)
        assert not thread.is_alive(), "the broker does not take what is sent"
        if errors:
            raise errors[0]
        assert self._plain.flush(SECONDS) == 0, "the broker does not acknowledge what was sent"

    def _send_some(self, topic: str, number: int, sent: Sent, chance: random.Random) -> int:
        """Send a few messages, or a transaction of them; how many."""
        if chance.random() < 0.9:
            count = chance.randint(1, 30)
            self._send(self._plain, topic, range(number, number + count), sent.plain, chance)
            self._plain.poll(0)
            return count
        count, acknowledged = chance.randint(1, 12), list[Produced]()
        self._transactional.begin_transaction()
        self._send(self._transactional, topic, range(number, number + count), acknowledged, chance)
        assert self._transactional.flush(SECONDS) == 0, "the broker does not acknowledge a transaction"
        if chance.random() < 0.5:
            _insistently(self._transactional.abort_transaction)
            sent.aborted.extend(acknowledged)
        else:
            _insistently(self._transactional.commit_transaction)
            sent.committed.extend(acknowledged)
        return count

    def _send(self, producer: Producer, topic: str, numbers: range, acknowledged: list[Produced], chance: random.Random) -> None:
        for number in numbers:
            key, value, headers, is_bar = _message(number, chance)

            def on_delivery(error: Any, message: Any, is_bar: bool = is_bar, headers: Headers = headers) -> None:
                assert error is None, error
                place = message.partition(), message.offset(), message.timestamp()[1]
                acknowledged.append(Produced(*place, message.key(), message.value(), headers, is_bar))

            producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery)


def _message(number: int, chance: random.Random) -> tuple[bytes | None, bytes | None, Headers, bool]:
    """Key, value, headers, and whether it is a bar."""
    symbol = chance.choice(_SYMBOLS)
    if chance.random() < 0.95:
        headers = chance.choices(_HEADERS, weights=(8, 1, 1))[0]
        return symbol.encode(), bar_message(number, symbol), headers, True
    value, headers = chance.choice(_POISON)
    return chance.choice([symbol.encode(), None, b"\xfe\xff"]), value, headers, False


def _insistently(end_transaction: Any) -> None:
    """End the transaction, also when the broker is away for a while."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return end_transaction(SECONDS)
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise
