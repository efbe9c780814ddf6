from __future__ import annotations

import threading
from datetime import datetime

import pyarrow as pa
import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_messages import as_bars, by_partition, consume_topic

from ingestion.outbox import client_settings
from ingestion.producer import replay
from ingestion.sources import FEED_SCHEMA, SAMPLE_ROWS, SyntheticFeed, read_sample
from tickhouse.settings import ProducerSettings, Settings


@pytest.fixture(scope="module")
def sample() -> pa.Table:
    return read_sample()


def with_producer(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"producer": ProducerSettings.model_validate(values)})


def test_a_replay_delivers_every_bar_once_and_each_partition_in_the_order_of_time(
    kafka_settings: Settings, sample: pa.Table
) -> None:
    report = replay(kafka_settings, sample)
    assert (report.produced, report.delivered, report.failed, report.first_error) == (SAMPLE_ROWS, SAMPLE_ROWS, 0, None)

    messages = consume_topic(kafka_settings)
    received = as_bars(messages)
    in_feed_order = received.sort_by([("ts", "ascending"), ("symbol", "ascending")]).select(FEED_SCHEMA.names)
    assert in_feed_order.equals(sample)
    for partition in by_partition(messages).values():
        bars = as_bars(partition).select(["ts", "symbol"])
        assert bars.equals(bars.sort_by([("ts", "ascending"), ("symbol", "ascending")]))


def test_a_message_says_what_it_is_and_when_the_broker_took_it(kafka_settings: Settings, sample: pa.Table) -> None:
    replay(kafka_settings, sample.slice(0, 100))
    messages = consume_topic(kafka_settings)
    symbols = as_bars(messages)["symbol"].to_pylist()
    assert [message.key() for message in messages] == [symbol.encode() for symbol in symbols]
    assert {str(message.headers()) for message in messages} == {str([("schema_version", b"1")])}
    assert {message.timestamp()[0] for message in messages} == {TIMESTAMP_LOG_APPEND_TIME}
    homes = {(message.key(), message.partition()) for message in messages}
    assert len(homes) == len(set(symbols))


@pytest.mark.parametrize("acks", ["all", "1", "0"])
def test_any_acks_delivers_in_order(kafka_settings: Settings, sample: pa.Table, acks: str) -> None:
    settings = with_producer(kafka_settings, acks=acks)
    assert client_settings(settings)["enable.idempotence"] is (acks == "all")
    assert replay(settings, sample.slice(0, 3000)).delivered == 3000
    for partition in by_partition(consume_topic(settings)).values():
        times = as_bars(partition)["ts"].to_pylist()
        assert times == sorted(times)


def test_max_messages_ends_the_replay_there(kafka_settings: Settings, sample: pa.Table) -> None:
    report = replay(with_producer(kafka_settings, max_messages=1500), sample)
    assert report.delivered == 1500
    received = as_bars(consume_topic(kafka_settings)).sort_by([("ts", "ascending"), ("symbol", "ascending")])
    assert received.select(FEED_SCHEMA.names).equals(sample.slice(0, 1500))


def test_a_loop_begins_again_at_the_first_bar(kafka_settings: Settings, sample: pa.Table) -> None:
    one_symbol = sample.filter(pa.compute.equal(sample["symbol"], "IBM")).slice(0, 10)
    report = replay(with_producer(kafka_settings, loop=True, max_messages=25), one_symbol)
    assert report.delivered == 25
    dates = one_symbol["ts"].to_pylist()
    assert as_bars(consume_topic(kafka_settings))["ts"].to_pylist() == dates + dates + dates[:5]


def test_a_rate_is_kept_to_in_small_steps(kafka_settings: Settings, sample: pa.Table) -> None:
    report = replay(with_producer(kafka_settings, rate=100, max_messages=50), sample)
    assert report.delivered == 50
    assert report.seconds >= 0.5
    moments = as_bars(consume_topic(kafka_settings))["produced_at"]
    assert len(moments.unique()) == 25


def test_an_endless_replay_ends_when_told_and_has_delivered_what_it_counts(kafka_settings: Settings, sample: pa.Table) -> None:
    stop = threading.Event()
    seen: list[tuple[int, int | None]] = []

    def look(delivered: int, total: int | None) -> None:
        seen.append((delivered, total))
        if delivered > 0:
            stop.set()

    report = replay(with_producer(kafka_settings, loop=True, rate=2000), sample, on_progress=look, stop=stop)
    assert report.produced == report.delivered == len(consume_topic(kafka_settings))
    assert {total for _, total in seen} == {None}
    assert seen[-1][0] == report.delivered


def test_a_speed_keeps_to_the_time_between_the_bars(kafka_settings: Settings) -> None:
    feed = SyntheticFeed(symbols=3, bars=4)
    report = replay(with_producer(kafka_settings, speed="120x"), feed)
    assert report.delivered == 12
    assert 1.5 <= report.seconds < 15
    moments: dict[datetime, set[datetime]] = {}
    for bar in as_bars(consume_topic(kafka_settings)).to_pylist():
        moments.setdefault(bar["ts"], set()).add(bar["produced_at"])
    assert [len(at_once) for at_once in moments.values()] == [1, 1, 1, 1]


def test_a_feed_is_streamed_with_all_its_pieces(kafka_settings: Settings) -> None:
    feed = SyntheticFeed(symbols=1000, bars=100)
    assert replay(with_producer(kafka_settings, max_messages=70_001), feed).delivered == 70_001
    received = as_bars(consume_topic(kafka_settings)).sort_by([("ts", "ascending"), ("symbol", "ascending")])
    assert received.select(FEED_SCHEMA.names).equals(pa.concat_tables(feed.pieces()).slice(0, 70_001).combine_chunks())


def test_progress_ends_at_the_total(kafka_settings: Settings, sample: pa.Table) -> None:
    seen: list[tuple[int, int | None]] = []
    replay(kafka_settings, sample, on_progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (SAMPLE_ROWS, SAMPLE_ROWS)
    assert [delivered for delivered, _ in seen] == sorted(delivered for delivered, _ in seen)


def test_messages_that_the_broker_refuses_are_counted_and_the_reason_kept(kafka_settings: Settings, sample: pa.Table) -> None:
    name = kafka_settings.kafka.topic
    admin = AdminClient({"bootstrap.servers": kafka_settings.kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "100"})])[name].result()
    report = replay(kafka_settings, sample.slice(0, 20))
    assert (report.produced, report.delivered, report.failed) == (20, 0, 20)
    assert "too large" in (report.first_error or "").lower()


def test_an_empty_feed_is_replayed_to_its_end(kafka_settings: Settings, sample: pa.Table) -> None:
    report = replay(with_producer(kafka_settings, loop=True), sample.slice(0, 0))
    assert (report.produced, report.failed) == (0, 0)
