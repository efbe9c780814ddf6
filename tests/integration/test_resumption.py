"""A replay that is killed, shut out or interrupted goes on: every bar once, in order, for whoever reads what is committed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import structlog
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_admin import delete_topic
from kafka_messages import as_bars, by_partition, consume_committed

from ingestion import resumption
from ingestion.bookmark import Bookmark
from ingestion.broker import KafkaBroker
from ingestion.producer import ReplayReport, replay
from ingestion.resumption import ReplayFencedError, ReplayRefusedError, ReplayUnsettledError, resume_replay
from ingestion.sources import FEED_SCHEMA, SyntheticFeed, TableFeed
from ingestion.topic import ensure_topic
from tickhouse.settings import PREFIX, KafkaSettings, ProducerSettings, Settings, as_environment

KILLS = 4
SECONDS = 90
FEED = SyntheticFeed(symbols=50, bars=60, seed=1)


def with_producer(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"producer": ProducerSettings.model_validate({"resume": True, **values})})


def all_bars(feed: SyntheticFeed) -> pa.Table:
    return pa.concat_tables(feed.pieces())


def check_every_bar_is_there_once_and_in_order(settings: Settings, bars: pa.Table) -> None:
    messages = consume_committed(settings)
    received = as_bars(messages)
    in_feed_order = received.sort_by([("ts", "ascending"), ("symbol", "ascending")])
    assert in_feed_order.select(FEED_SCHEMA.names).equals(bars.combine_chunks())
    for partition in by_partition(messages).values():
        times = as_bars(partition)["ts"].to_pylist()
        assert times == sorted(times)


def test_a_replay_that_is_killed_again_and_again_leaves_out_nothing_and_repeats_nothing(kafka_settings: Settings) -> None:
    ensure_topic(kafka_settings)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= as_environment(kafka_settings)
    arguments = ("synthetic", "--symbols", "200", "--bars", "400", "--rate", "20000", "--resume")
    command = [sys.executable, "-m", "apps.cli", "replay", *arguments]
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert b"replay " in line, f"seed {seed}: {line!r}"
        try:
            process.wait(timeout=chance.uniform(0.0, 1.3))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        if process.returncode == 0:  # chance let it come to its end
            break
    assert killed > 0, f"seed {seed}"
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True)
    check_every_bar_is_there_once_and_in_order(kafka_settings, all_bars(SyntheticFeed(symbols=200, bars=400)))
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "nothing to send: all 80,000 bars are in" in again.stdout, (seed, finished.stdout)


def test_a_replay_that_was_stopped_goes_on_at_the_next_bar(kafka_settings: Settings) -> None:
    stop = threading.Event()

    def stop_midway(delivered: int, _total: int | None) -> None:
        if delivered >= 500:
            stop.set()

    first = resume_replay(with_producer(kafka_settings, rate=1000), FEED, on_progress=stop_midway, stop=stop)
    assert 500 <= first.delivered < FEED.rows
    seen: list[tuple[int, int | None]] = []
    second = resume_replay(with_producer(kafka_settings), FEED, on_progress=lambda *counts: seen.append(counts))
    assert (second.resumed_at, second.delivered) == (first.delivered, FEED.rows - first.delivered)
    assert seen[0] == (first.delivered, FEED.rows)
    assert seen[-1] == (FEED.rows, FEED.rows)
    check_every_bar_is_there_once_and_in_order(kafka_settings, all_bars(FEED))


def test_a_feed_at_its_end_sends_nothing_until_it_is_restarted(kafka_settings: Settings) -> None:
    settings = with_producer(kafka_settings)
    assert resume_replay(settings, FEED).delivered == FEED.rows
    again = resume_replay(settings, FEED)
    assert (again.resumed_at, again.delivered) == (FEED.rows, 0)
    assert resume_replay(settings, FEED, restart=True).delivered == FEED.rows
    assert len(consume_committed(settings)) == 2 * FEED.rows


def test_a_restart_is_remembered_from_its_first_moment(kafka_settings: Settings) -> None:
    settings = with_producer(kafka_settings)
    resume_replay(settings, FEED)
    stopped = threading.Event()
    stopped.set()
    assert resume_replay(settings, FEED, restart=True, stop=stopped).delivered == 0
    assert resume_replay(settings, FEED).resumed_at == 0


def test_max_messages_counts_all_runs_and_a_loop_goes_on_in_its_round(kafka_settings: Settings) -> None:
    one = SyntheticFeed(symbols=1, bars=10)
    for limit, sent in ((4, 4), (4, 0), (23, 19), (25, 2)):
        assert resume_replay(with_producer(kafka_settings, loop=True, max_messages=limit), one).delivered == sent
    times = all_bars(one)["ts"].to_pylist()
    assert as_bars(consume_committed(kafka_settings))["ts"].to_pylist() == times + times + times[:5]


def test_another_feed_and_another_topic_begin_at_their_beginning(kafka_settings: Settings) -> None:
    settings = with_producer(kafka_settings)
    resume_replay(settings, FEED)
    assert resume_replay(settings, SyntheticFeed(symbols=50, bars=60, seed=2)).resumed_at == 0
    delete_topic(settings)
    ensure_topic(settings)
    assert resume_replay(settings, FEED).resumed_at == 0
    check_every_bar_is_there_once_and_in_order(settings, all_bars(FEED))


def test_a_second_replay_of_a_feed_shuts_the_first_one_out(kafka_settings: Settings) -> None:
    caught: list[Exception] = []
    started, stop = threading.Event(), threading.Event()

    def run_first() -> None:
        try:
            resume_replay(with_producer(kafka_settings, rate=200), FEED, on_progress=lambda *_: started.set(), stop=stop)
        except Exception as error:
            caught.append(error)

    first = threading.Thread(target=run_first)
    first.start()
    assert started.wait(30)
    resume_replay(with_producer(kafka_settings), FEED)
    first.join(30)
    stop.set()
    first.join(30)
    assert [type(error) for error in caught] == [ReplayFencedError]
    check_every_bar_is_there_once_and_in_order(kafka_settings, all_bars(FEED))


def test_a_message_that_kafka_will_never_take_ends_the_replay_and_says_where(kafka_settings: Settings) -> None:
    name = kafka_settings.kafka.topic
    admin = AdminClient({"bootstrap.servers": kafka_settings.kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "100"})])[name].result()
    with pytest.raises(ReplayRefusedError, match=r"after the first 0, which are delivered: .*too large"):
        resume_replay(with_producer(kafka_settings), FEED)


def test_a_place_that_kafka_does_not_settle_ends_the_replay_and_says_what_to_do(
    kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "ABANDONED_SECONDS", 2.0)
    bookmark = Bookmark(kafka_settings, FEED, ensure_topic(kafka_settings))
    other = Producer({"bootstrap.servers": kafka_settings.kafka.bootstrap_servers, "transactional.id": bookmark.name + "-other"})
    other.init_transactions(30)
    other.begin_transaction()
    other.send_offsets_to_transaction(*bookmark.at(7), 30)
    with pytest.raises(ReplayUnsettledError, match=r"`kafka-transactions.sh find-hanging` and `abort` have ended it"):
        resume_replay(with_producer(kafka_settings), FEED)
    other.abort_transaction(30)
    bookmark.close()
    assert resume_replay(with_producer(kafka_settings), FEED).delivered == FEED.rows


@pytest.fixture
def own_broker(tmp_path: Path, settings: Settings) -> Iterator[tuple[KafkaBroker, Settings]]:
    """A broker that this test may stop."""
    with KafkaBroker(tmp_path / "kafka") as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, topic="own", group="own")
        yield broker, settings.model_copy(update={"kafka": kafka})


def test_a_broker_that_is_killed_and_comes_back_is_waited_for(
    own_broker: tuple[KafkaBroker, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a transaction waits, so that one is aborted and sent again; and a plain replay beside it. Told in few lines."""
    broker, settings = own_broker
    monkeypatch.setattr(resumption, "ABANDONED_SECONDS", 5.0)
    plain = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"topic": "plain"})})
    # Killed within milliseconds of a commit, Kafka 4.4 has been seen to forget the transaction's markers: so a while after one.
    is_midway = {"resumable": threading.Event(), "plain": threading.Event()}
    reports: dict[str, ReplayReport] = {}

    def run(name: str, start: Callable[..., ReplayReport], settings: Settings) -> None:
        before = 0

        def look(delivered: int, _total: int | None) -> None:
            nonlocal before
            if delivered >= 250 and (name == "plain" or (delivered == before and is_midway["plain"].is_set())):
                is_midway[name].set()
            before = delivered

        reports[name] = start(with_producer(settings, rate=500), FEED, on_progress=look)

    ways = {"resumable": (resume_replay, settings), "plain": (replay, plain)}
    with structlog.testing.capture_logs() as logs:
        threads = [threading.Thread(target=run, args=(name, *way)) for name, way in ways.items()]
        for thread in threads:
            thread.start()
        assert is_midway["resumable"].wait(SECONDS)
        broker.kill()
        threads[0].join(7)
        assert all(thread.is_alive() for thread in threads)
        broker.start()
        for thread in threads:
            thread.join(SECONDS)
    assert {name: report.delivered for name, report in reports.items()} == dict.fromkeys(ways, FEED.rows)
    check_every_bar_is_there_once_and_in_order(settings, all_bars(FEED))
    check_every_bar_is_there_once_and_in_order(plain, all_bars(FEED))
    events = [entry["event"] for entry in logs]
    assert 2 <= events.count("no broker answers; trying on") <= 8
    assert events.count("a broker answers again") == 2
    assert len(logs) < 30, logs


def test_a_table_of_bars_is_a_feed_of_its_own(kafka_settings: Settings) -> None:
    bars = all_bars(FEED)
    assert TableFeed(bars).identity() == TableFeed(all_bars(FEED)).identity() != TableFeed(bars.slice(1)).identity()
    resume_replay(with_producer(kafka_settings), bars)
    check_every_bar_is_there_once_and_in_order(kafka_settings, bars)
