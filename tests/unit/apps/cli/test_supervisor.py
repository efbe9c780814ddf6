"""A supervisor's children end with it, whatever they do and however it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from apps.cli.supervisor import NotReadyError, ProcessDiedError, ProcessSpec, Supervisor

IGNORES_SIGTERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
DIES = "import sys; print('the disk is full'); sys.exit(3)"
ENDS_WITH = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("up", flush=True)
signal.sigwait([signal.SIGTERM])
{last_words}
print("ended", flush=True)
"""
LEAVES_A_GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path / "logs", grace_seconds=1.0)


def spec(name: str, code: str, is_ready: Callable[[], bool] = lambda: True) -> ProcessSpec:
    return ProcessSpec(name, [sys.executable, "-c", code], dict(os.environ), is_ready)


def log_of(supervisor: Supervisor, name: str) -> str:
    return supervisor.log_file(name).read_text()


def start_and_read(supervisor: Supervisor, name: str, code: str, is_dispensable: bool = False) -> str:
    """Start it and return its first line of output."""
    started = spec(name, code, lambda: log_of(supervisor, name).endswith("\n"))
    supervisor.start(replace(started, is_dispensable=is_dispensable))
    supervisor.wait_ready(name, 20)
    return log_of(supervisor, name).strip()


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_child_that_ignores_sigterm_is_killed(supervisor: Supervisor) -> None:
    before = set(children())
    with supervisor:
        start_and_read(supervisor, "deaf", IGNORES_SIGTERM)
        start_and_read(supervisor, "polite", SLEEPS)
    assert set(children()) <= before


def test_all_end_at_once_but_the_first_which_the_others_use_until_they_have(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs", grace_seconds=30)
    os.mkfifo(meeting := tmp_path / "meeting")  # who opens it waits for the other
    logs = [str(supervisor.log_file(name)) for name in ("api", "pages")]
    last_words = {
        "broker": f"print(*[open(log).read().split()[-1] for log in {logs}])",
        "api": f"open({str(meeting)!r}, 'w').close()",
        "pages": f"open({str(meeting)!r}).close()",
    }
    with supervisor:
        for name, words in last_words.items():
            start_and_read(supervisor, name, ENDS_WITH.format(last_words=words))
    assert log_of(supervisor, "broker").split() == ["up", "ended", "ended", "ended"]


def test_a_dead_child_is_named_with_its_exit_code_and_the_end_of_its_log(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(spec("healthy", SLEEPS))
        supervisor.start(spec("broken", DIES, lambda: False))
        with pytest.raises(ProcessDiedError, match=r"(?s)broken ended unasked \(exit code 3\).*the disk is full"):
            supervisor.wait_ready("broken", 20)


def test_waiting_for_one_notices_that_another_died(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(spec("slow", SLEEPS, lambda: False))
        supervisor.start(spec("broken", DIES))
        with pytest.raises(ProcessDiedError, match="broken"):
            supervisor.wait_ready("slow", 20)


def test_a_child_killed_by_a_signal_is_told_so(supervisor: Supervisor) -> None:
    with supervisor:
        start_and_read(supervisor, "victim", "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
        os.kill(int(log_of(supervisor, "victim")), signal.SIGKILL)
        with pytest.raises(ProcessDiedError, match="signal SIGKILL"):
            wait_until(lambda: supervisor.check() is not None)


def test_one_that_is_never_ready_is_given_up_at_its_deadline(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(spec("slow", SLEEPS, lambda: False))
        with pytest.raises(NotReadyError, match="slow was not ready after"):
            supervisor.wait_ready("slow", 0.3)


def test_a_grandchild_in_a_session_of_its_own_ends_too(supervisor: Supervisor) -> None:
    with supervisor:
        grandchild = int(start_and_read(supervisor, "parent", LEAVES_A_GRANDCHILD))
        assert not is_gone(grandchild)
    assert wait_until(lambda: is_gone(grandchild))


def test_one_that_is_killed_on_purpose_is_started_again_and_what_it_had_started_is_gone(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(spec("other", SLEEPS))
        grandchild = int(start_and_read(supervisor, "parent", LEAVES_A_GRANDCHILD))
        supervisor.restart("parent")
        assert is_gone(grandchild)
        assert wait_until(lambda: len(log_of(supervisor, "parent").split()) == 2)
        supervisor.check()
        assert supervisor.names == ("other", "parent")
        successor = int(log_of(supervisor, "parent").split()[1])
        assert [each.pid for each in supervisor.descendants("parent")] == [successor]


def test_one_that_is_dispensable_is_started_again_and_what_it_had_started_goes_on(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.cli.supervisor.REVIVAL_SECONDS", 0.0)
    with supervisor:
        grandchild = int(start_and_read(supervisor, "parent", LEAVES_A_GRANDCHILD, is_dispensable=True))
        os.kill(supervisor.pid("parent"), signal.SIGKILL)
        assert wait_until(lambda: supervisor.check() or len(log_of(supervisor, "parent").split()) == 2)
        assert not is_gone(grandchild)


def test_one_that_ends_as_soon_as_it_is_started_is_not_started_again_at_once(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(replace(spec("broken", DIES), is_dispensable=True))
        assert wait_until(lambda: supervisor.check() or "the disk is full" in log_of(supervisor, "broken"))
        for _ in range(20):
            supervisor.check()
            time.sleep(0.01)
        assert log_of(supervisor, "broken").count("the disk is full") == 1


def test_one_that_died_by_itself_is_not_started_again(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(spec("broken", DIES))
        with pytest.raises(ProcessDiedError, match="broken ended unasked"):
            wait_until(lambda: supervisor.check() is not None)
        with pytest.raises(ProcessDiedError, match="broken ended unasked"):
            supervisor.restart("broken")


def test_resident_memory_counts_grandchildren(supervisor: Supervisor) -> None:
    with supervisor:
        start_and_read(supervisor, "alone", SLEEPS)
        alone = supervisor.resident_bytes()
        start_and_read(supervisor, "parent", LEAVES_A_GRANDCHILD)
        assert supervisor.resident_bytes() > 2.5 * alone > 0


def test_children_and_grandchildren_of_a_killed_supervisor_end(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import os, sys, time
        from pathlib import Path
        from apps.cli.supervisor import ProcessSpec, Supervisor
        with Supervisor(Path({str(tmp_path)!r})) as supervisor:
            supervisor.start(ProcessSpec("sleeper", [sys.executable, "-c", {SLEEPS!r}], dict(os.environ)))
            supervisor.start(ProcessSpec("parent", [sys.executable, "-c", {LEAVES_A_GRANDCHILD!r}], dict(os.environ)))
            while not (tmp := Path({str(tmp_path)!r}) / "parent.log").read_text().endswith("\\n"):
                time.sleep(0.02)
            print("up", flush=True)
            time.sleep(600)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "up\n"
        descendants = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(descendants) == 4  # the reaper, the sleeper, the parent and the grandchild
    assert wait_until(lambda: all(is_gone(each.pid) for each in descendants))
