"""A demo's parts start one after the other, a feed that breaks off is told, and a missing broker is said loudly."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient
from rich.console import Console

from apps.cli.demo import feed as feed_module
from apps.cli.demo import processes
from apps.cli.demo.demo import DemoFailedError, Watch, run_stack
from apps.cli.demo.feed import Feed, FeedError
from apps.cli.demo.plan import DemoOptions
from apps.cli.demo.processes import Stack
from apps.cli.demo.report import StageDisplay
from apps.cli.demo.stages import StageCounter
from apps.cli.supervisor import ProcessSpec, Supervisor
from ingestion.broker import BrokerUnavailableError
from ingestion.producer import ReplayReport
from ingestion.sources import FEED_SCHEMA
from tickhouse.settings import Settings
from tickhouse.storage import open_storage

BARS = pa.table([pa.nulls(2, field.type) for field in FEED_SCHEMA], schema=FEED_SCHEMA)


def sleeper(name: str, is_ready: Callable[[], bool] = lambda: True) -> ProcessSpec:
    return ProcessSpec(name, [sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), is_ready)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", grace_seconds=1.0) as supervisor:
        yield supervisor


@pytest.fixture
def is_ready(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether each stand-in for a part says that it is ready; the broker cannot be had."""
    ready: dict[str, bool] = {}

    def spec(name: str) -> ProcessSpec:
        return sleeper(name, lambda: ready.get(name, False))

    def no_broker() -> Path:
        raise BrokerUnavailableError("there is no `mvn` on the PATH")

    monkeypatch.setattr(processes, "ensure_kafka", no_broker)
    monkeypatch.setattr(processes, "dagster_specs", lambda _settings: [spec("code-server"), spec("daemon"), spec("webserver")])
    monkeypatch.setattr(processes, "serving_specs", lambda _settings: [spec("api")])
    monkeypatch.setattr(processes, "command_spec", lambda _settings, name, *_rest: spec(name))
    return ready


def test_each_part_waits_for_those_before_it(settings: Settings, supervisor: Supervisor, is_ready: dict[str, bool]) -> None:
    stack = Stack(supervisor, settings, Console(file=io.StringIO()))
    stack.start()
    assert supervisor.names == ("code-server", "ingestor")
    stack.advance()
    assert supervisor.names == ("code-server", "ingestor")
    is_ready |= {"code-server": True, "ingestor": True}
    stack.advance()
    stack.advance()
    assert supervisor.names == ("code-server", "ingestor", "daemon")
    is_ready |= dict.fromkeys(("daemon", "api", "webserver"), True)
    stack.wait_ready()
    assert supervisor.names == ("code-server", "ingestor", "daemon", "api", "webserver")


def test_without_a_broker_a_mock_stands_in_and_says_so_loudly(
    settings: Settings, supervisor: Supervisor, is_ready: dict[str, bool]
) -> None:
    output = io.StringIO()
    stack = Stack(supervisor, settings, Console(file=output, width=200))
    stack.start()
    assert "NO KAFKA BROKER" in output.getvalue()
    assert "there is no `mvn` on the PATH" in output.getvalue()
    assert stack.settings.kafka.bootstrap_servers != settings.kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": stack.settings.kafka.bootstrap_servers})
    assert admin.list_topics(timeout=10).brokers


def test_the_build_to_kill_is_the_process_of_dagsters_that_has_the_warehouse(
    settings: Settings, supervisor: Supervisor, is_ready: dict[str, bool]
) -> None:
    stack = Stack(supervisor, settings, Console(file=io.StringIO()))
    warehouse = settings.warehouse_path
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    run = f"import time; held = open({str(warehouse)!r}, 'w'); time.sleep(600)"
    server = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {run!r}]); time.sleep(600)"
    supervisor.start(ProcessSpec(processes.RUNNERS[0], [sys.executable, "-c", server], dict(os.environ)))
    deadline = time.monotonic() + 20
    while (builder := stack.builder()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert builder.ppid() != os.getpid(), "the run, not the server that started it"
    builder.kill()
    while stack.builder() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_chaos_without_a_broker_is_refused(settings: Settings, is_ready: dict[str, bool]) -> None:
    with pytest.raises(DemoFailedError, match="without Kafka there is no chaos"):
        run_stack(settings, DemoOptions(is_exiting=True, kills=1), Console(file=io.StringIO()), time.monotonic())


def wait_for(feed: Feed) -> None:
    deadline = time.monotonic() + 10
    while feed.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_delivered_messages_add_up_over_the_parts_of_a_feed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []

    def replay(settings: Settings, bars: pa.Table, *, on_progress: Callable[[int, int | None], None]) -> ReplayReport:
        rates.append(settings.producer.rate)
        on_progress(1, bars.num_rows)
        return ReplayReport(bars.num_rows, bars.num_rows, 0, 0.1)

    monkeypatch.setattr(feed_module, "replay", replay)
    feed = Feed(settings)
    for rate in (None, 20.0):
        feed.start(BARS, rate)
        wait_for(feed)
    assert feed.delivered == 4
    assert rates == [None, 20.0]


def test_a_feed_that_breaks_off_says_why(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def replay(*_given: object, **_named: object) -> ReplayReport:
        raise ConnectionError("no broker answers")

    monkeypatch.setattr(feed_module, "replay", replay)
    feed = Feed(settings)
    feed.start(BARS)
    with pytest.raises(FeedError, match="the replay broke off: no broker answers"):
        wait_for(feed)


def test_messages_that_were_refused_break_the_feed_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "replay", lambda *_given, **_named: ReplayReport(2, 1, 1, 0.1, "too large"))
    feed = Feed(settings)
    feed.start(BARS)
    with pytest.raises(FeedError, match="1 of 2 messages were not delivered: too large"):
        wait_for(feed)


def test_a_demo_gives_up_at_its_deadline_and_says_how_far_it_came(
    settings: Settings, supervisor: Supervisor, is_ready: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "replay", lambda *_given, **_named: ReplayReport(2, 2, 0, 0.1))
    stack = Stack(supervisor, settings, Console(file=io.StringIO()))
    counter = StageCounter(settings, open_storage(settings))
    with StageDisplay(Console(file=io.StringIO()), 2) as display:
        watch = Watch(stack, counter, display, begun=time.monotonic(), deadline_seconds=0.6)
        with pytest.raises(DemoFailedError, match=r"within 0\.6 s: produced 2, landed 0, .*Logs: .*logs"):
            watch.replay(BARS)
