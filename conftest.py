"""For every test: the option `--no-skips`, and property tests without a stopwatch."""

from __future__ import annotations

import hypothesis
import pytest

# A first call may compile for a second, and other processes share the machine: time tells nothing of what is tested here.
hypothesis.settings.register_profile("tickhouse", deadline=None)
hypothesis.settings.load_profile("tickhouse")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test, or file of tests, is a failure")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := _skipped(config):
        terminalreporter.write_line(f"--no-skips allows no skipped test, and {count} were: this run has failed", red=True)


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", ())) if config.getoption("--no-skips") and reporter else 0
