"""The command line teaches, is quick, and says what went wrong in one line."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from apps.cli.main import app
from tickhouse.settings import Settings

ROOT = Path(__file__).parents[4]
COMMANDS = (
    "demo", "broker", "topic create", "topic describe", "topic adopt", "replay", "ingest",
    "dlq list", "dlq show", "dlq replay", "build", "compact", "dagster", "status",
    "api", "pages", "docs build", "docs serve", "settings", "prepare", "version",
)  # fmt: skip


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command sets up logging for its whole process, which here is the test run's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_no_command_is_left_out_here() -> None:
    assert {name.split()[0] for name in COMMANDS} == set(commands_in(run("--help").output))


def commands_in(help_text: str) -> Iterator[str]:
    in_panel = False
    for line in help_text.splitlines():
        if line.startswith("╭"):
            in_panel = "Options" not in line
        words = line.removeprefix("│ ").split()
        if in_panel and line.startswith("│ ") and line[2] != " " and words:
            yield words[0]


_HEAVY = {
    *("boto3", "confluent_kafka", "dagster", "dbt", "duckdb", "fastapi", "great_expectations", "numba", "numpy", "pandas"),
    *("pyarrow", "streamlit", "pydantic"),
}


def test_help_comes_at_once_for_nothing_heavy_is_imported_before_a_command_is_chosen() -> None:
    script = (
        "import atexit, sys, apps.cli.main as cli; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); cli.app(['-h'])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True)
    assert "tickhouse demo" in found.stdout
    assert set(found.stderr.split()) & _HEAVY == set()


def test_a_refused_setting_is_named_and_exits_with_2(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_API__PORT", "seventy")
    result = run("settings")
    assert result.exit_code == 2
    assert "api.port" in result.stderr
    assert "seventy" in result.stderr
    assert "Traceback" not in result.output


def test_a_refused_option_is_named_by_the_setting_it_stands_for(settings: Settings) -> None:
    result = run("replay", "sample", "--rate", "-1")
    assert (result.exit_code, result.stderr) == (
        2,
        "tickhouse: setting producer.rate: Input should be greater than 0 (given: -1.0)\n",
    )


def test_an_unknown_variable_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_KAFKA__TOPICS", "bars")
    result = run("status")
    assert result.exit_code == 2
    assert "TICKHOUSE_KAFKA__TOPICS" in result.stderr


def test_a_failure_is_one_line_and_exits_with_1(settings: Settings) -> None:
    result = run("replay", "no-such-file.csv")
    assert (result.exit_code, result.stderr) == (1, "tickhouse: there is no file no-such-file.csv\n")


def test_debug_shows_the_traceback(settings: Settings) -> None:
    result = run("--debug", "replay", "no-such-file.csv")
    assert isinstance(result.exception, FileNotFoundError)


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    result = run("replya")
    assert result.exit_code == 2
    assert "replay" in result.stderr


def test_settings_are_printed_as_asked(settings: Settings) -> None:
    assert "kafka.topic = bars" in run("settings").output
    assert 'topic: "bars"' in run("settings", "--format", "yaml").output


def test_commands_are_thin() -> None:
    """A command calls a plain function and shows the result; what it calls is tested without the command line."""
    long = {}
    for path in (ROOT / "apps" / "cli").rglob("*.py"):
        tree = ast.parse(path.read_text())
        registers = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "register"), None)
        if registers is None:
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                body = node.end_lineno - node.body[0].lineno + 1
                long |= {f"{path.name}: {node.name}": body} if body > 20 else {}
    assert long == {}
