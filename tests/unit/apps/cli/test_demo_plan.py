"""A demo harms nothing: it refuses taken ports before it starts, and empties no folder but its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.cli.demo.plan import FolderRefusedError, claim_folder, demo_addresses, demo_settings, held_folder
from apps.cli.ports import refuse_taken_ports
from apps.cli.readiness import is_answering, is_free, is_listening, url
from tickhouse.settings import ApiSettings, KafkaSettings, LoggingSettings, ProducerSettings, Settings, StorageSettings


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def with_free_ports(settings: Settings) -> Settings:
    sockets = [socket.socket() for _ in range(7)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return settings.model_copy(
        update={
            "kafka": KafkaSettings(bootstrap_servers=f"127.0.0.1:{ports[0]}"),
            "api": ApiSettings(port=ports[1]),
            "pages": settings.pages.model_copy(update={"port": ports[2]}),
            "dagster": settings.dagster.model_copy(update={"port": ports[3], "code_server_port": ports[4]}),
            "docs": settings.docs.model_copy(update={"port": ports[5]}),
            "metrics": settings.metrics.model_copy(update={"port": ports[6]}),
        }
    )


def test_a_taken_port_names_the_setting_and_its_variable(settings: Settings, taken_port: int) -> None:
    busy = with_free_ports(settings).model_copy(update={"api": ApiSettings(port=taken_port)})
    with pytest.raises(ValueError, match=rf"nothing was started(?s:.*)port {taken_port} .* set api.port \(TICKHOUSE_API__PORT\)"):
        refuse_taken_ports(demo_addresses(busy))


def test_the_brokers_port_is_looked_at_too(settings: Settings, taken_port: int) -> None:
    busy = with_free_ports(settings).model_copy(update={"kafka": KafkaSettings(bootstrap_servers=f"127.0.0.1:{taken_port}")})
    with pytest.raises(ValueError, match=r"kafka\.bootstrap_servers \(TICKHOUSE_KAFKA__BOOTSTRAP_SERVERS\)"):
        refuse_taken_ports(demo_addresses(busy))


def test_a_port_wanted_twice_is_told(settings: Settings) -> None:
    free = with_free_ports(settings)
    twice = free.model_copy(update={"docs": free.docs.model_copy(update={"port": free.api.port})})
    with pytest.raises(ValueError, match=r"wanted by api\.port and docs\.port"):
        refuse_taken_ports(demo_addresses(twice))


def test_free_ports_are_accepted(settings: Settings) -> None:
    refuse_taken_ports(demo_addresses(with_free_ports(settings)))


def test_a_demo_has_a_folder_a_lake_and_a_broker_of_its_own(settings: Settings) -> None:
    user = settings.model_copy(
        update={
            "kafka": KafkaSettings(bootstrap_servers="kafka.example.com:9094,other:9092", offset_reset="latest"),
            "storage": StorageSettings(kind="s3", bucket="precious"),
            "producer": ProducerSettings(rate=1, max_messages=5, loop=True),
            "logging": LoggingSettings(file=Path("all.log")),
        }
    )
    own = demo_settings(user)
    assert own.data_dir == user.data_dir / "demo"
    assert own.kafka.bootstrap_servers == "127.0.0.1:9094"
    assert own.kafka.offset_reset == "earliest"
    assert own.storage.kind == "local"
    assert own.producer == ProducerSettings()
    assert own.metrics.port == 9464, "a demo has one ingestor, and shows what it measures"


def test_what_an_earlier_demo_left_is_removed_but_for_the_parsed_project(settings: Settings) -> None:
    folder = claim_folder(settings)
    for name in ("lake/landing/slot", "dbt/manifest.json", "warehouse.duckdb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    with held_folder(settings) as held:
        assert held == folder
        assert {path.name for path in folder.iterdir()} == {".tickhouse-demo", "dbt"}
    assert (folder / "dbt" / "manifest.json").is_file()


def test_a_folder_that_no_demo_made_is_left_alone(settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderRefusedError, match="holds files that no demo made"), held_folder(settings):
        pass
    assert (settings.data_dir / "thesis.txt").is_file()


def test_a_folder_that_a_demo_runs_on_is_refused_and_left_as_it_is(settings: Settings) -> None:
    with held_folder(settings) as folder:
        (folder / "lake").mkdir()
        with (
            pytest.raises(FolderRefusedError, match=rf"a demo runs on .* \(process {os.getpid()}\): end it first"),
            held_folder(settings),
        ):
            pass
        assert (folder / "lake").is_dir()
    with held_folder(settings):
        assert not (folder / "lake").exists()


def test_readiness_is_told_from_outside(taken_port: int) -> None:
    assert is_listening("127.0.0.1", taken_port)
    assert is_listening("0.0.0.0", taken_port)
    assert not is_free("127.0.0.1", taken_port)
    assert not is_answering("127.0.0.1", taken_port, "/")  # it accepts, and never answers
    assert url("0.0.0.0", 8000) == "http://127.0.0.1:8000"
    assert url("::1", 8000) == "http://[::1]:8000"
