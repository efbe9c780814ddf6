"""What there is, is in the docs, and what the docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apps.api.main import create_app
from apps.cli.main import app
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


def test_every_endpoint_is_in_the_docs(settings: Settings) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    paths = create_app(settings).openapi()["paths"]
    assert len(paths) == 7
    assert [path for path in paths if f"`GET {path}`" not in text] == []


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
