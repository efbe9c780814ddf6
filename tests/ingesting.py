"""For tests of the ingestor: messages to a real broker, ingestors in threads and processes, and what they landed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition

from ingestion.chain.slot import Chain
from ingestion.chain.walk import Slot, find_chains, read_genesis, read_rows, walk
from ingestion.dead_letter import read_dead_letters
from ingestion.ingestor import run_ingestor
from tickhouse.bar import ORIGIN_SCHEMA
from tickhouse.settings import IngestorSettings, Settings, as_environment, process_environment
from tickhouse.storage import open_storage

VERSION = [("schema_version", b"1")]
SECONDS = 30.0


def bar_message(number: int, symbol: str = "AAPL", **changes: Any) -> bytes:
    """The value of a valid message, told apart by its time and prices."""
    ts = datetime(2000, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
    message = {
        "symbol": symbol,
        "interval": "1m",
        "ts": ts.isoformat().replace("+00:00", "Z"),
        "open": number + 0.25,
        "high": number + 1.5,
        "low": number + 0.125,
        "close": number + 0.5,
        "adj_close": None,
        "volume": float(number),
        "source": "test",
        "produced_at": "2026-01-01T00:00:00.123456Z",
    }
    return json.dumps({**message, **changes}).encode()


@dataclass(frozen=True)
class Sent:
    """A message that the broker acknowledged."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Sender:
    """Produces to the settings' topic and remembers what was acknowledged; the message key chooses the partition."""

    def __init__(self, settings: Settings, transactional_id: str | None = None) -> None:
        transactions = {"transactional.id": transactional_id} if transactional_id else {}
        self.topic = settings.kafka.topic
        self.producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 5, **transactions})
        if transactional_id:
            self.producer.init_transactions(SECONDS)
        self.sent: list[Sent] = []

    def send(self, value: bytes | None, key: bytes | None = b"AAPL", headers: Any = VERSION, **where: Any) -> None:
        def on_delivery(error: Any, message: Any) -> None:
            assert error is None, error
            self.sent.append(Sent(message.partition(), message.offset(), key, value))

        while True:
            try:
                return self.producer.produce(self.topic, value, key, headers=headers, on_delivery=on_delivery, **where)
            except BufferError:
                self.producer.poll(0.1)

    def flush(self) -> list[Sent]:
        """Every message acknowledged so far."""
        assert self.producer.flush(SECONDS) == 0
        return self.sent


def send_bars(
    settings: Settings, numbers: Iterable[int], symbols: Sequence[str] = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
) -> list[Sent]:
    """One bar for each number, the symbols taken in turn."""
    sender = Sender(settings)
    for number in numbers:
        symbol = symbols[number % len(symbols)]
        sender.send(bar_message(number, symbol), symbol.encode())
    return sender.flush()


def quick(settings: Settings, **changes: Any) -> Settings:
    """`settings` with a young age of flushing, and other ingestor settings."""
    return settings.model_copy(update={"ingestor": IngestorSettings(**{"flush_seconds": 0.1, **changes})})


def with_kafka(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=changes)})


@contextmanager
def ingesting(settings: Settings) -> Iterator[threading.Thread]:
    """An ingestor in a thread of this process; leaving the block stops it and raises what it raised."""
    stop, errors = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            run_ingestor(settings, stop)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive(), "the ingestor does not stop"
    if errors:
        raise errors[0]


class IngestorProcess:
    """An ingestor in a process of its own, whose log is kept."""

    def __init__(self, settings: Settings, log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        environment = {**process_environment(), **as_environment(settings), **(environment or {})}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingestion.ingestor"],
                env=environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal that asks it to end."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.kill()


def wait_until(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return once `holds()`; fail with `what` was waited for when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}"
        time.sleep(0.02)


def chains(settings: Settings) -> list[Chain]:
    return find_chains(open_storage(settings))


def slots(settings: Settings) -> list[Slot]:
    storage = open_storage(settings)
    return [slot for chain in find_chains(storage) for slot in walk(storage, chain)]


def landed(settings: Settings) -> pa.Table:
    """Every landed row, by partition and offset."""
    storage = open_storage(settings)
    tables = [read_rows(storage, slot) for slot in slots(settings)]
    return pa.concat_tables(tables).sort_by([("partition", "ascending"), ("offset", "ascending")])


def dead_letters(settings: Settings) -> list[dict[str, Any]]:
    """Every dead letter that counts, by partition and offset."""
    storage = open_storage(settings)
    tables = [read_dead_letters(storage, slot.footer) for slot in slots(settings)]
    letters = [letter for table in tables for letter in table.to_pylist()]
    return sorted(letters, key=lambda letter: (letter["partition"], letter["offset"]))


def landed_count(settings: Settings) -> int:
    return sum(slot.footer.rows + slot.footer.dead_letters for slot in slots(settings))


def wait_until_landed(settings: Settings, messages: int, seconds: float = SECONDS) -> None:
    """Until so many messages are landed, bars and dead letters."""
    wait_until(lambda: landed_count(settings) >= messages, f"{messages} messages landed", seconds)


def assert_gapless(settings: Settings) -> None:
    """Every chain's slots follow each other without gap or overlap, and hold only offsets of their own."""
    storage = open_storage(settings)
    for chain in find_chains(storage):
        at = read_genesis(storage, chain).position
        for slot in walk(storage, chain):
            assert slot.footer.position == at
            rows = read_rows(storage, slot)
            offsets = rows["offset"].to_pylist()
            assert len(offsets) == slot.footer.rows
            assert all(slot.footer.position <= offset < slot.footer.next_offset for offset in offsets)
            assert offsets == sorted(set(offsets))
            at = slot.footer.next_offset


def assert_landed_exactly(settings: Settings, sent: Iterable[Sent]) -> None:
    """What was sent is landed, message for message and value for value, each once and nothing else."""
    assert_gapless(settings)
    expected = []
    for one in sorted(sent, key=lambda one: (one.partition, one.offset)):
        assert one.value is not None
        expected.append((one.partition, one.offset, json.loads(one.value)))
    rows = landed(settings)
    found = []
    for row in rows.to_pylist():
        partition, offset = row.pop("partition"), row.pop("offset")
        assert row.pop("topic") == settings.kafka.topic and row.pop("kafka_timestamp") and row.pop("topic_id")
        assert [row.pop(name) for name in ORIGIN_SCHEMA.names] == [None] * len(ORIGIN_SCHEMA)
        for name in ("ts", "produced_at"):
            row[name] = row[name].isoformat().replace("+00:00", "Z")
        found.append((partition, offset, row))
    assert found == expected


def committed(settings: Settings) -> dict[int, TopicPartition]:
    """The group's commits, by partition."""
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group})
    try:
        asked = [TopicPartition(settings.kafka.topic, chain.partition) for chain in chains(settings)]
        return {one.partition: one for one in consumer.committed(asked, timeout=SECONDS)} if asked else {}
    finally:
        consumer.close()
