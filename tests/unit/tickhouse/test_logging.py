from __future__ import annotations

import io
import json
import logging
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tickhouse.logging import configure_logging
from tickhouse.settings import LoggingSettings, Settings

log = structlog.get_logger("tickhouse.test")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever a test configured is taken back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def with_logging(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update={"logging": LoggingSettings(**values)})


def test_console_lines_are_for_people(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings)
    log.info("slot landed", rows=3)
    logging.getLogger("librdkafka").warning("broker %s is down", "b-1")
    output, lines = capsys.readouterr()
    assert output == ""
    first, second = lines.splitlines()
    assert "slot landed" in first and "rows=3" in first and "info" in first
    assert "broker b-1 is down" in second and "librdkafka" in second
    assert "\x1b" not in lines


def test_every_json_line_is_one_object_with_time_level_and_logger(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(with_logging(settings, format="json"))
    structlog.contextvars.bind_contextvars(run="r1")
    try:
        log.info("two\nlines", path=Path("/a"), text='"quoted"')
        logging.getLogger("other").error("from %s", "the standard library")
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("other").exception("failed too")
    finally:
        structlog.contextvars.clear_contextvars()
    records = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [record["event"] for record in records] == ["two\nlines", "from the standard library", "failed", "failed too"]
    assert [record["level"] for record in records] == ["info", "error", "error", "error"]
    assert [record["logger"] for record in records] == ["tickhouse.test", "other", "tickhouse.test", "other"]
    assert all(record["timestamp"].endswith("Z") and record["run"] == "r1" for record in records)
    assert all(record["exception"][0]["exc_value"] == "broken\nin two" for record in records[2:])


@pytest.mark.parametrize(("level", "seen"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_less_severe_records_are_not_written(
    level: str, seen: int, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(with_logging(settings, level=level))
    for write in (log.debug, log.info, log.warning, log.error):
        write("event")
    assert len(capsys.readouterr().err.splitlines()) == seen


@pytest.mark.parametrize(("level", "is_told"), [("INFO", False), ("DEBUG", True)])
def test_what_a_library_tells_its_own_developers_is_told_when_debugging(
    level: str, is_told: bool, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(with_logging(settings, level=level))
    inner = logging.getLogger("great_expectations.datasource.fluent")
    inner.setLevel("INFO")  # as some of its modules do
    inner.info("registering")
    inner.warning("a rule is deprecated")
    lines = capsys.readouterr().err
    assert ("registering" in lines) == is_told
    assert "a rule is deprecated" in lines


def test_the_file_lies_under_data_dir_and_has_what_the_terminal_has(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(with_logging(settings, file="logs/all.log", format="json"))
    log.info("event", unit="°C")
    assert (settings.data_dir / "logs/all.log").read_text("utf-8") == capsys.readouterr().err


def test_configuring_again_replaces_the_first(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(with_logging(settings, file="one.log"))
    configure_logging(with_logging(settings, file="two.log"))
    log.info("event")
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (settings.data_dir / "one.log").read_text() == ""
    assert "event" in (settings.data_dir / "two.log").read_text()


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_a_full_file_is_rotated_and_so_many_old_ones_are_kept(backups: int, settings: Settings) -> None:
    configure_logging(with_logging(settings, file="a.log", max_bytes=2000, backups=backups, format="json"))
    for number in range(200):
        log.info("event", number=number)
    files = sorted(settings.data_dir.glob("a.log*"))
    kept = [file for file in files if not file.name.endswith(".lock")]
    assert len(kept) == 1 + backups
    assert all(0 < file.stat().st_size <= 2000 for file in kept)
    assert json.loads((settings.data_dir / "a.log").read_text().splitlines()[-1])["number"] == 199


def write_lines(settings: Settings, writer: int, lines: int) -> None:
    sys.stderr = io.StringIO()
    configure_logging(settings)
    for number in range(lines):
        log.info("event", writer=writer, number=number)


def test_processes_that_share_the_file_lose_no_line_to_rotation(settings: Settings) -> None:
    shared = with_logging(settings, file="a.log", max_bytes=20_000, backups=50, format="json")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_lines, args=(shared, writer, 1000)) for writer in range(3)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
        assert process.exitcode == 0
    files = [file for file in settings.data_dir.glob("a.log*") if not file.name.endswith(".lock")]
    assert len(files) > 10
    records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert sorted((record["writer"], record["number"]) for record in records) == [(w, n) for w in range(3) for n in range(1000)]
