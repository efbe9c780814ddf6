"""The command line teaches, is quick, and says what went wrong in one line."""

from __future__ import annotations

import ast
import errno
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from apps.cli.asking import ask
from apps.cli.main import app
from ingestion.sources import SourceError
from tickhouse.settings import Settings

ROOT = Path(__file__).parents[4]
COMMANDS = (
    "demo", "broker", "topic create", "topic describe", "topic adopt", "replay", "ingest", "dlq list", "dlq show", "dlq replay",
    "build", "backfill", "publish", "compact",
    "quarantine list", "quarantine show", "quarantine revalidate", "freshness", "gaps", "dagster", "status", "deliver",
    "explain", "verify", "rebuild",
    "api", "pages", "docs build", "docs serve", "docs validation", "docs freshness", "settings", "prepare", "version",
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


def test_a_failure_is_one_line_and_exits_with_1(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_STORAGE__PATH", "/proc/lake")
    result = run("ingest")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("tickhouse: cannot write to the lake at /proc/lake")


def test_a_file_that_is_missing_is_an_argument_that_is_refused(settings: Settings) -> None:
    result = run("replay", "no-such-file.csv")
    assert (result.exit_code, result.stderr) == (2, "tickhouse: there is no file no-such-file.csv\n")
    result = run("dlq", "replay", "0/1", "--value", "nofile")
    assert (result.exit_code, result.stderr) == (2, "tickhouse: --value nofile cannot be read: No such file or directory\n")


def test_a_speed_that_is_none_says_what_one_is(settings: Settings) -> None:
    result = run("replay", "sample", "--speed", "abc")
    assert result.exit_code == 2
    assert result.stderr.endswith("with or without an x: 60 or 60x (given: 'abc')\n")


def test_what_gives_something_up_needs_somebody_who_says_yes() -> None:
    with pytest.raises(ValueError, match=r"For good\? Nobody is there to ask: say --yes"):
        ask("For good?", "say --yes")


@pytest.mark.parametrize("command", [("settings", "--format", "env"), ("settings",), ("version",)])
def test_a_reader_who_has_had_enough_is_no_error_to_tell(command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run([sys.executable, "-m", "apps.cli", *command], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert result.stderr == b""


def test_another_pipe_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe", "socket")

    monkeypatch.setattr("apps.cli.setup.start", breaking)
    result = run("settings")
    assert (result.exit_code, "Broken pipe" in result.stderr) == (1, True)


def test_examples_keep_their_indentation() -> None:
    examples = [line for line in run("dlq", "--help").output.splitlines() if line.strip().startswith("tickhouse dlq")]
    assert len({len(line) - len(line.lstrip()) for line in examples}) == 1
    assert examples[0].startswith("   tickhouse")


def test_debug_shows_the_traceback(settings: Settings) -> None:
    result = run("--debug", "replay", "no-such-file.csv")
    assert isinstance(result.exception, SourceError)


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
