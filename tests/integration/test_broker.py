from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from kafka_messages import as_bars, consume_topic

from ingestion import broker as broker_module
from ingestion.broker import BrokerError, KafkaBroker, run_broker, wait_until_ready
from ingestion.producer import replay
from ingestion.sources import FEED_SCHEMA, read_sample
from ingestion.topic import ensure_topic
from tickhouse.settings import KafkaSettings, Settings, as_environment, process_environment

ROOT = Path(broker_module.__file__).parents[1]
RUN = "from ingestion.broker import run_broker; from tickhouse.settings import load_settings; run_broker(load_settings())"


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that tests of this module may end, and start again."""
    with KafkaBroker(tmp_path_factory.mktemp("own broker é")) as broker:
        yield broker


@pytest.fixture
def free_settings(settings: Settings) -> Settings:
    """Settings that name a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    return settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers=address)})


@pytest.fixture
def broker_process(free_settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs the broker of `free_settings`, which answers."""
    environment = {**process_environment(), **as_environment(free_settings)}
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, env=environment) as process:
        wait_until_ready(free_settings.kafka.bootstrap_servers, is_alive=lambda: process.poll() is None)
        yield process
        process.kill()


def java_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    (java,) = [child for child in psutil.Process(process.pid).children() if "java" in child.name()]
    return java


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("end", [KafkaBroker.stop, KafkaBroker.kill], ids=["stopped", "killed"])
def test_a_broker_started_again_has_its_topics_and_messages(
    own_broker: KafkaBroker, settings: Settings, end: Callable[[KafkaBroker], None]
) -> None:
    bars: pa.Table = read_sample().slice(0, 5000)
    servers = own_broker.bootstrap_servers
    kafka = KafkaSettings(bootstrap_servers=servers, topic=f"kept-{uuid.uuid4().hex}")
    own = settings.model_copy(update={"kafka": kafka})
    replay(own, bars)
    before = ensure_topic(own)

    end(own_broker)
    assert own_broker.pid is None
    own_broker.start()

    assert own_broker.bootstrap_servers == servers
    assert ensure_topic(own) == before
    kept = as_bars(consume_topic(own)).sort_by([("ts", "ascending"), ("symbol", "ascending")])
    assert kept.select(FEED_SCHEMA.names).equals(bars)


def test_a_broker_listens_on_loopback_alone(own_broker: KafkaBroker) -> None:
    listening = [item.laddr.ip for item in psutil.Process(own_broker.pid).net_connections() if item.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_starting_what_runs_and_stopping_what_does_not_changes_nothing(own_broker: KafkaBroker, tmp_path: Path) -> None:
    pid = own_broker.pid
    assert own_broker.start().pid == pid
    KafkaBroker(tmp_path).stop()
    assert list(tmp_path.iterdir()) == []


def test_a_second_broker_on_the_port_is_refused_before_it_starts(own_broker: KafkaBroker, tmp_path: Path) -> None:
    with pytest.raises(
        BrokerError, match=rf"cannot listen on {own_broker.bootstrap_servers}.* Does a broker run there already\?"
    ):
        KafkaBroker(tmp_path, own_broker.port).start()


def test_a_second_broker_on_the_data_is_refused_and_the_first_goes_on(own_broker: KafkaBroker) -> None:
    with pytest.raises(BrokerError, match=r"another broker runs on the data in .*own broker"):
        KafkaBroker(own_broker.data_dir).start()
    wait_until_ready(own_broker.bootstrap_servers, is_alive=own_broker.is_alive)


def test_a_broker_that_ends_unasked_says_so_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(BrokerError, match=r"(?s)its process ended.*The end of .*broker\.log:.*meta\.properties"):
        KafkaBroker(tmp_path).start()


def test_a_broker_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    with pytest.raises(BrokerError, match=r"no broker answered at 127\.0\.0\.1:\d+ within 0\.01 s"):
        broker.start(timeout_seconds=0.01)
    assert broker.pid is None


def test_nobody_elses_broker_is_run(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="kafka.example:9092,127.0.0.1:9092")})
    with pytest.raises(BrokerError, match=r"begins with kafka\.example:9092, which is not an address of this machine's loopback"):
        run_broker(elsewhere)


def test_a_broker_in_the_foreground_ends_in_order_when_told(broker_process: subprocess.Popen[bytes]) -> None:
    java = java_of(broker_process)
    broker_process.send_signal(signal.SIGTERM)
    assert broker_process.wait(60) == 0
    assert has_ended(java)


def test_a_broker_ends_with_the_process_that_ran_it_however_that_ended(broker_process: subprocess.Popen[bytes]) -> None:
    java = java_of(broker_process)
    broker_process.kill()
    deadline = time.monotonic() + 30
    while not has_ended(java):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_broker_in_the_foreground_that_dies_ends_its_process_with_the_reason(broker_process: subprocess.Popen[bytes]) -> None:
    java_of(broker_process).kill()
    assert broker_process.wait(60) == 1
