"""For every test: the option `--no-skips`, the order and what runs beside what, and property tests without a stopwatch."""

from __future__ import annotations

import gc
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# A first call may compile for a second, and other processes share the machine: time tells nothing of what is tested here.
hypothesis.settings.register_profile("tickhouse", deadline=None)
hypothesis.settings.load_profile("tickhouse")


_FOLDERS = ("e2e", "browser", "integration", "crash", "unit", "architecture")
"""In this order: what takes long first, so that workers end together."""
_TOGETHER = ("browser",)


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker a file at a time, in order; a folder whose files share what is slow to start is one piece of work."""

    def _split_scope(self, nodeid: str) -> str:
        return _folder(nodeid) if _folder(nodeid) in _TOGETHER else nodeid.split("::", 1)[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile:
    config.option.loadscopereorder = False  # ours is the order of the folders
    return FileByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _FOLDERS.index(_folder(item.nodeid)) if _folder(item.nodeid) in _FOLDERS else -1)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what is loaded by now stays: a tenth of what builds take went into looking at it again


def pytest_unconfigure() -> None:
    gc.unfreeze()


def _folder(nodeid: str) -> str:
    """`browser` of `tests/browser/test_pages.py::test_x`."""
    return nodeid.split("/")[1] if "/" in nodeid else ""


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
