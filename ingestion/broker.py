"""A local Kafka broker: one KRaft node on loopback, started, watched and ended by this process."""

from __future__ import annotations

import base64
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from string import Template
from typing import Self

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ingestion.kafka_runtime import RESOURCES, BrokerUnavailableError, ensure_kafka, find_java
from tickhouse.settings import Settings

__all__ = [
    "BrokerError",
    "BrokerUnavailableError",
    "KafkaBroker",
    "ensure_kafka",
    "run_broker",
    "wait_until_ready",
]

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true")
# The group's leader waits on a pipe that only the parent holds: its end, however it came, ends the group.
_WATCHER = ("/bin/sh", "-c", "read _; kill -KILL 0")

log = structlog.get_logger(__name__)


class BrokerError(RuntimeError):
    """The broker did not start, or ended unasked; the message ends with the tail of its log."""


class KafkaBroker:
    """One Apache Kafka node, controller included, whose data and log are under `data_dir`.

    Port 0 is a free one, chosen at the first start and kept by later ones. A broker that was stopped or
    killed is started again on the same data. It ends with this process, also when that is killed.
    """

    def __init__(self, data_dir: Path, port: int = 0, cache: Path | None = None) -> None:
        self.data_dir = data_dir
        self.port = port
        self._cache = cache
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def bootstrap_servers(self) -> str:
        """`127.0.0.1:<port>`; the port is 0 before the first start where a free one was asked for."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The Java process, or None when it does not run."""
        return self._process.pid if self.is_alive() and self._process is not None else None

    @property
    def log_path(self) -> Path:
        return self.data_dir / "broker.log"

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_seconds: float = START_SECONDS) -> Self:
        """Start the broker and wait until it answers.

        Raises BrokerUnavailableError when Java or Kafka's jars cannot be had, BrokerError when port or data
        are in use, or Kafka ends or does not answer in time.
        """
        if self.is_alive():
            return self
        java, jars = find_java(), ensure_kafka(self._cache)
        self.port = self._claim_port()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with as_file(files(RESOURCES) / "log4j2.properties") as logging, self._locked() as lock:
            command = [str(java), *_JVM, f"-Dlog4j2.configurationFile={logging.as_uri()}", "-cp", f"{jars}/*"]
            if not (self.data_dir / "log").is_dir():
                self._format(command)
            (self.data_dir / "server.properties").write_text(self._properties(), encoding="ascii")
            try:
                self._launch([*command, "kafka.Kafka", "server.properties"], lock)
                wait_until_ready(self.bootstrap_servers, timeout_seconds, is_alive=self.is_alive)
            except BrokerError as error:
                self.kill()
                raise BrokerError(f"Kafka did not start: {error}\n{self._log_tail()}") from None
            except BaseException:
                self.kill()
                raise
        log.info("broker started", bootstrap_servers=self.bootstrap_servers, data=str(self.data_dir), pid=self.pid)
        return self

    def stop(self, grace_seconds: float = STOP_SECONDS) -> None:
        """End the broker in order (SIGTERM); after `grace_seconds`, or when that is interrupted, by SIGKILL."""
        if self._process is None:
            return
        try:
            self._process.terminate()
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            log.warning("broker did not end in time and is killed", grace_seconds=grace_seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would."""
        for process in (self._process, self._watcher):
            if process is not None:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        self._process = self._watcher = None

    def wait(self, stop: threading.Event) -> None:
        """Return when `stop` is set. Raises BrokerError when the broker ends before that."""
        while not stop.wait(0.2):
            if not self.is_alive():
                raise BrokerError(f"Kafka ended unasked\n{self._log_tail()}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _claim_port(self) -> int:
        if self.port == 0:
            return _free_port()
        try:
            _bind(self.port)
        except OSError as error:
            raise BrokerError(
                f"cannot listen on {self.bootstrap_servers}: {error.strerror}. Does a broker run there already? "
                f"Set kafka.bootstrap_servers to another port of {HOST}."
            ) from None
        return self.port

    def _properties(self) -> str:
        controller_port = _free_port(besides=self.port)
        template = Template((files(RESOURCES) / "server.properties").read_text(encoding="ascii"))
        return template.substitute(port=self.port, controller_port=controller_port)

    def _format(self, command: list[str]) -> None:
        """Make the storage in a scratch folder and move it in place, so that a killed start leaves none by half."""
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        with tempfile.TemporaryDirectory(prefix=".format-", dir=self.data_dir) as scratch:
            (Path(scratch) / "server.properties").write_text(self._properties(), encoding="ascii")
            tool = ["kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster_id}"]
            command = [*command, *tool, "--config=server.properties"]
            done = subprocess.run(command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0:
                raise BrokerError(f"Kafka could not format its storage (exit {done.returncode})\n{done.stdout}{done.stderr}")
            os.rename(Path(scratch) / "log", self.data_dir / "log")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """A lock on the data, to be inherited by the broker: Kafka's own is taken after it has written to the metadata log."""
        lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock
        except BlockingIOError:
            raise BrokerError(f"another broker runs on the data in {self.data_dir}") from None
        finally:
            os.close(lock)

    def _launch(self, command: list[str], lock: int) -> None:
        self._watcher = subprocess.Popen(_WATCHER, stdin=subprocess.PIPE, process_group=0)
        with self.log_path.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self._watcher.pid,
                pass_fds=(lock,),
            )

    def _log_tail(self, lines: int = 20) -> str:
        with self.log_path.open("rb") as written:
            written.seek(self._log_start)
            tail = written.read().decode(errors="replace").splitlines()[-lines:]
        return "\n".join([f"The end of {self.log_path}:", *tail])


def wait_until_ready(
    bootstrap_servers: str, timeout_seconds: float = START_SECONDS, *, is_alive: Callable[[], bool] | None = None
) -> None:
    """Return when a broker at `bootstrap_servers` describes its cluster.

    Raises BrokerError when none does within `timeout_seconds`, or at once when `is_alive` says that there is nothing to wait for.
    """
    backoff = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0, **backoff})
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if is_alive is not None and not is_alive():
            raise BrokerError("its process ended")
        try:
            if admin.describe_cluster(request_timeout=1.0).result().nodes:
                return
        except KafkaException:
            continue
    raise BrokerError(f"no broker answered at {bootstrap_servers} within {timeout_seconds:g} s")


def run_broker(settings: Settings) -> None:
    """Run the broker of `kafka.bootstrap_servers` until SIGTERM or SIGINT; for the main thread of a process.

    Raises what `KafkaBroker.start` raises, and BrokerError when the broker ends unasked or the address is not this machine's.
    """
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with KafkaBroker(settings.kafka_path, _local_port(settings)) as broker:
            broker.wait(stop)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _local_port(settings: Settings) -> int:
    first = settings.kafka.bootstrap_servers.split(",")[0].strip()
    host, _, port = first.rpartition(":")
    if host not in (HOST, "localhost") or not port.isdigit():
        raise BrokerError(
            f"kafka.bootstrap_servers begins with {first}, which is not an address of this machine's loopback: "
            f"that broker is somebody else's to run. For one here, set it to {HOST}:9092."
        )
    return int(port)


def _free_port(besides: int = 0) -> int:
    """A port nobody uses, below those the system hands out: a client that calls a dead broker there could be given its port."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError):
            if port != besides:
                _bind(port)
                return port


def _bind(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
