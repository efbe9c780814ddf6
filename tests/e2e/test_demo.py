"""The demo from the outside: everything comes through, and nothing survives it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from apps.cli.demo.plan import claim_folder, demo_settings
from tickhouse.settings import PREFIX, Settings

PORTS = ("METRICS__PORT", "API__PORT", "PAGES__PORT", "DAGSTER__PORT", "DAGSTER__CODE_SERVER_PORT", "DOCS__PORT")
DEADLINE_SECONDS = 240

pytestmark = pytest.mark.timeout(DEADLINE_SECONDS + 60)


@dataclass
class Demo:
    """One demo as a process, and the processes it started: those that know its data folder."""

    environment: dict[str, str]
    data_dir: Path
    output: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "apps.cli", "demo", "--deadline", str(DEADLINE_SECONDS), *arguments]
        with self.output.open("wb") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(command, env=self.environment, start_new_session=True, **streams)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE_SECONDS + 30)

    def says(self) -> str:
        return self.output.read_text()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        assert self.process is not None
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert self.process.poll() is None, self.says()
            assert time.monotonic() < deadline, self.says()
            time.sleep(0.1)

    def processes(self) -> dict[str, psutil.Process]:
        """What runs on this demo's data, by command line."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(f"{PREFIX}DATA_DIR") == str(self.data_dir / "demo"):
                    found[f"{process.pid} {' '.join(process.cmdline())}"] = process
            except psutil.Error:
                continue
        return found

    def get(self, port: str, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.environment[PREFIX + port]}{path}", timeout=10) as answer:
            return answer.read()


@pytest.fixture
def demo_without_setup(tmp_path: Path) -> Iterator[Demo]:
    data_dir = tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    broker_port, *ports = free_ports(1 + len(PORTS))
    environment |= {PREFIX + name: str(port) for name, port in zip(PORTS, ports, strict=True)}
    environment |= {f"{PREFIX}DATA_DIR": str(data_dir), f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{broker_port}"}
    demo = Demo(environment, data_dir, tmp_path / "output.txt")
    yield demo
    if demo.process is not None and demo.process.poll() is None:
        demo.process.kill()
        demo.process.wait()
    for process in demo.processes().values():
        process.kill()


@pytest.fixture
def demo(demo_without_setup: Demo, parsed_dbt: Path) -> Demo:
    """After `make setup`, as `make demo` has it."""
    own = claim_folder(demo_settings(Settings(data_dir=demo_without_setup.data_dir, _env_file=None)))
    shutil.copytree(parsed_dbt, own / parsed_dbt.name)
    return demo_without_setup


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def figure(text: str, what: str) -> str:
    found = re.search(rf"{re.escape(what)}\s*│\s*([\d.,]+)", text)
    assert found, text
    return found.group(1)


def test_under_kills_everything_is_replayed_published_checked_and_ended(demo: Demo) -> None:
    demo.start("--chaos", "--kills", "1")
    assert demo.wait() == 0, demo.says()
    text = demo.says()
    for stage in ("produced", "landed", "validated", "modelled", "published"):
        assert figure(text, f"rows {stage}") == "12,154"
    assert figure(text, "of these current") == "12,154"
    for victim in ("ingestor", "broker", "build"):
        assert figure(text, f"{victim} killed") == "1"
        assert f"killed {'a' if victim == 'build' else 'the'} {victim}, " in text
    assert "the ingestor is back" in text
    assert "the broker is back" in text
    assert "another build has published" in text
    assert int(figure(text, "alerts found").replace(",", "")) > 1000
    assert float(figure(text, "from start to the first snapshot")) > 0
    assert demo.processes() == {}


def test_without_it_the_last_dates_come_live_and_all_stays_up_until_ctrl_c(demo: Demo) -> None:
    demo.start("--live-dates", "4", "--live-rate", "10")
    demo.wait_until(lambda: "Everything stays up until Ctrl-C" in demo.says())
    assert float(figure(demo.says(), "from produced to published, median")) > 0
    stats = json.loads(demo.get("API__PORT", "/stats"))
    assert stats["bars"] - stats["derived_bars"] == stats["balance"]["current"] == 12_154
    assert demo.get("PAGES__PORT", "/_stcore/health") == b"ok"
    assert json.loads(demo.get("DAGSTER__PORT", "/server_info"))["dagster_webserver_version"]
    assert b"fct_indicator" in demo.get("DOCS__PORT", "/")
    assert json.loads(demo.get("METRICS__PORT", "/readyz"))["lag"] == {"0": 0, "1": 0, "2": 0}
    assert demo.process is not None
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 0, demo.says()
    assert demo.processes() == {}


def test_a_killed_demo_leaves_no_process(demo: Demo) -> None:
    demo.start("--exit")
    demo.wait_until(lambda: any("dagster" in command for command in demo.processes()) and "produced 12,154" in demo.says())
    assert demo.process is not None
    os.killpg(demo.process.pid, signal.SIGKILL)
    demo.process.wait()
    deadline = time.monotonic() + 30
    while left := demo.processes():
        assert time.monotonic() < deadline, list(left)
        time.sleep(0.1)


def test_a_part_that_dies_is_named_and_ends_the_demo(demo: Demo) -> None:
    demo.start("--exit")
    demo.wait_until(lambda: any(command.endswith("apps.cli ingest") for command in demo.processes()))
    next(process for command, process in demo.processes().items() if command.endswith("apps.cli ingest")).kill()
    assert demo.wait() == 1
    assert "ingestor ended unasked (signal SIGKILL)" in demo.says()
    assert demo.processes() == {}


def test_a_taken_port_is_told_before_anything_is_started(demo_without_setup: Demo) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        demo_without_setup.environment[f"{PREFIX}DOCS__PORT"] = str(server.getsockname()[1])
        demo_without_setup.start("--exit")
        assert demo_without_setup.wait() == 2
    assert "set docs.port (TICKHOUSE_DOCS__PORT) to a free one" in demo_without_setup.says()
    assert not demo_without_setup.data_dir.exists()
