"""What there is, is in the docs, and what the docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apps.api.main import create_app
from apps.cli.main import app
from ingestion.decode.careful import parse_message
from ingestion.metrics import IngestorMetrics
from tickhouse.bar import BAR_SCHEMA
from tickhouse.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_command_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    groups = {group.name: group.typer_instance.registered_commands for group in app.registered_groups if group.typer_instance}
    names = [command_name(command) for command in app.registered_commands]
    names += [f"{group} {command_name(command)}" for group, commands in groups.items() for command in commands]
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"`(tickhouse )?{name}\b", text)] == []


def command_name(command: object) -> str:
    return getattr(command, "name", None) or getattr(command, "callback").__name__  # noqa: B009 - typer's type is private


def test_the_message_that_the_docs_show_is_a_bar_and_every_field_is_told() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text().split("## The bar")[1].split("\n## ")[0]
    shown = re.search(r"^value +(\{.*?\})$", section, re.DOTALL | re.MULTILINE)
    assert shown is not None
    row, extra = parse_message(shown[1].encode(), [("schema_version", b"1")])
    assert (list(row), extra) == (BAR_SCHEMA.names, [])
    told = {
        name for line in section.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert told == set(BAR_SCHEMA.names)


def test_every_endpoint_is_in_the_docs(settings: Settings) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    paths = create_app(settings).openapi()["paths"]
    assert len(paths) == 8
    assert [path for path in paths if f"`GET {path}`" not in text] == []


def metric_names() -> set[str]:
    """Every metric of ours, named as Prometheus shows it."""
    suffixes = {"counter": "_total", "info": "_info"}
    families = [family for family in IngestorMetrics("bars").registry.collect() if family.name.startswith("tickhouse_")]
    return {family.name + suffixes.get(family.type, "") for family in families}


def test_the_table_of_metrics_holds_each_and_no_other() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"(?m)^\| `(tickhouse_\w+)` \|", text)) == metric_names()


@pytest.mark.parametrize("name", ["grafana/ingestion.json", "prometheus/alerts.yml"])
def test_dashboards_and_alerts_ask_for_metrics_that_there_are(name: str) -> None:
    asked = set(re.findall(r"tickhouse_(?:ingestor|build)_\w+", (ROOT / "infra" / name).read_text()))
    known = metric_names()
    assert len(asked) >= 5
    assert {each for each in asked if each not in known and re.sub("_(bucket|sum|count)$", "", each) not in known} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_decision_has_a_title_and_a_reason() -> None:
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        title, blank, *rest = page.read_text().splitlines()
        assert title.startswith("# "), page
        assert blank == "", page
        assert 3 <= len(rest) <= 60, page


def test_the_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    text = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"`make ([a-z]+)", text)) - targets == set()
