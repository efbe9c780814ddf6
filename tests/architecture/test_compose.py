"""The containers' plan: nothing as root, nothing open to the network, everything watched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from apps.cli.main import app
from tickhouse.settings import PREFIX, environment_names

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def of_tickhouse(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in compose["services"].items() if "build" in service}


def test_ports_are_published_to_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_service_has_more_rights_than_it_needs(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not str(service.get("user", "image's own")).startswith("0"), name
    assert all(service["user"].split(":")[0] != "0" for service in of_tickhouse(compose).values())


def test_every_service_is_watched_and_comes_back(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_every_volume_is_named(compose: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", ())}
    assert used == set(compose["volumes"])


def test_services_run_commands_and_settings_that_exist(compose: dict[str, Any]) -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    for name, service in of_tickhouse(compose).items():
        assert service["command"][0] == "tickhouse", name
        assert service["command"][1] in commands, name
        own = {variable for variable in service["environment"] if variable.startswith(PREFIX)}
        assert own <= set(environment_names()), name


def test_versions_are_those_of_the_project(compose: dict[str, Any]) -> None:
    version = re.search(r'(?m)^version = "(.+)"', (ROOT / "pyproject.toml").read_text())
    kafka = re.search(r"<kafka\.version>(.+)</kafka\.version>", (ROOT / "infra" / "kafka" / "pom.xml").read_text())
    assert version and kafka
    assert {service["image"] for service in of_tickhouse(compose).values()} == {f"tickhouse:{version[1]}"}
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{kafka[1]}"


def test_no_password_is_written_down_and_dagster_finds_its_records(compose: dict[str, Any]) -> None:
    environment = compose["services"]["dagster"]["environment"]
    address = environment[environment["TICKHOUSE_DAGSTER__POSTGRES_URL_VARIABLE"]]
    user, database = (compose["services"]["postgres"]["environment"][f"POSTGRES_{name}"] for name in ("USER", "DB"))
    assert re.fullmatch(rf"postgresql://{user}:\$\{{POSTGRES_PASSWORD:\?[^}}]+\}}@postgres/{database}", address)
    assert compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
