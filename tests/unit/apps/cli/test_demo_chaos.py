"""Progress decides who is killed and when; a kill that did not happen is not counted, and fails the demo."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pyarrow as pa
import pytest

from apps.cli.demo.chaos import Chaos, ChaosError
from apps.cli.demo.stages import Account, Stages

BARS = pa.table({"number": list(range(10))})


class FakeTarget:
    """Notes what is restarted; ready, and with a build in progress, when the test says so."""

    def __init__(self) -> None:
        self.restarted: list[str] = []
        self.is_up = True
        self.build: psutil.Process | None = None
        self.modelled = 0

    def restart(self, name: str) -> None:
        self.restarted.append(name)

    def is_ready(self, name: str) -> bool:
        return self.is_up

    def builder(self) -> psutil.Process | None:
        return self.build

    def modelled_builds(self) -> int:
        return self.modelled


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def sleepers() -> Iterator[list[psutil.Process]]:
    """Processes that stand in for builds."""
    started = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
    yield [psutil.Process(each.pid) for each in started]
    for each in started:
        each.kill()
        each.wait()


def landed(rows: int) -> Stages:
    return Stages(produced=rows, landed=rows)


def test_ingestor_and_broker_die_in_turn_each_when_rows_of_its_part_land(target: FakeTarget, said: list[str]) -> None:
    chaos, seen, so_far = Chaos(target, 2, said.append), [], 0
    for part in chaos.parts(BARS):
        chaos.look(landed(so_far))
        before = list(target.restarted)
        chaos.look(landed(so_far + 1))
        seen.append(target.restarted[len(before) :])
        so_far += part.num_rows
        chaos.look(landed(so_far))
    assert seen == [[], ["ingestor"], ["broker"], ["ingestor"], ["broker"]]
    assert so_far == BARS.num_rows
    assert chaos.kills == {"ingestor": 2, "broker": 2, "build": 0}
    assert said[0] == "killed the ingestor, with 3 rows landed (1 of 2)"


def test_the_parts_are_all_of_the_bars_in_their_order(target: FakeTarget, said: list[str]) -> None:
    for kills in (1, 2, 3):
        parts = list(Chaos(target, kills, said.append).parts(BARS))
        assert len(parts) == 2 * kills + 1
        assert pa.concat_tables(parts)["number"].to_pylist() == list(range(10))


def test_nobody_is_killed_again_before_rows_land_and_the_broker_answers(target: FakeTarget, said: list[str]) -> None:
    chaos = Chaos(target, 1, said.append)
    parts = chaos.parts(BARS)
    next(parts), next(parts)
    chaos.look(landed(8))
    next(parts)
    chaos.look(landed(8))
    target.is_up = False
    chaos.look(landed(9))
    assert target.restarted == ["ingestor"]
    target.is_up = True
    chaos.look(landed(9))
    assert target.restarted == ["ingestor", "broker"]
    assert said[1].startswith("the ingestor is back, and rows land again, ")


def test_a_build_dies_while_it_models_and_the_next_when_it_has_modelled(
    target: FakeTarget, said: list[str], sleepers: list[psutil.Process]
) -> None:
    chaos = Chaos(target, 2, said.append)
    first, second = sleepers
    chaos.look(Stages(5, 5))
    assert said == []
    target.build = first
    chaos.look(Stages(5, 5, 5))
    assert said == ["killed a build, while it modelled (1 of 2)"]
    target.build = second
    chaos.look(Stages(5, 5, 5))
    assert second.status() != psutil.STATUS_ZOMBIE
    target.build, target.modelled = None, 7
    chaos.look(Stages(5, 5, 5, 5))
    assert said[1:] == ["killed a build, modelled, before it had published (2 of 2)"]
    assert psutil.wait_procs(sleepers, timeout=10)[1] == []
    chaos.look(Stages(5, 5, 5, 5, 5))
    assert said[2].startswith("another build has published what the killed one had in hand, ")


def test_a_build_after_one_that_was_killed_before_it_published_is_killed_while_it_models(
    target: FakeTarget, said: list[str], sleepers: list[psutil.Process]
) -> None:
    chaos = Chaos(target, 3, said.append)
    target.build = sleepers[0]
    chaos.look(Stages(5, 5, 5))
    target.build = sleepers[1]
    chaos.look(Stages(5, 5, 5))
    target.modelled = 2
    chaos.look(Stages(5, 5, 5, 5))
    assert chaos.kills["build"] == 2
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as third:
        target.build = psutil.Process(third.pid)
        chaos.look(Stages(5, 5, 5, 5))
    assert said[2] == "killed a build, while it modelled (3 of 3)"


def test_a_part_waits_for_its_build_to_be_killed_unless_none_is_to_come(
    target: FakeTarget, said: list[str], sleepers: list[psutil.Process]
) -> None:
    chaos = Chaos(target, 1, said.append)
    parts = chaos.parts(BARS)
    next(parts)
    assert not chaos.is_through(landed(3), 4)
    assert chaos.is_through(landed(4), 4)
    next(parts)
    assert not chaos.is_through(landed(8), 8)
    assert chaos.is_through(Stages(8, 8, 8, 8, 8), 8)
    target.build = sleepers[0]
    chaos.look(landed(8))
    assert chaos.is_through(landed(8), 8)


def test_a_build_that_has_ended_meanwhile_does_not_count(
    target: FakeTarget, said: list[str], sleepers: list[psutil.Process]
) -> None:
    chaos = Chaos(target, 1, said.append)
    sleepers[0].kill()
    sleepers[0].wait(10)
    target.build = sleepers[0]
    chaos.look(Stages(5, 5, 5))
    assert said == []
    with pytest.raises(ChaosError, match="of 1 time each, killed were only: ingestor 0 times, broker 0 times, build 0 times"):
        chaos.check(Account())


def test_a_bar_that_came_twice_fails_the_demo_though_the_account_adds_up(
    target: FakeTarget, said: list[str], sleepers: list[psutil.Process]
) -> None:
    chaos, so_far = Chaos(target, 1, said.append), 0
    target.build = sleepers[0]
    for part in chaos.parts(BARS):
        so_far += part.num_rows
        chaos.look(landed(so_far))
    chaos.check(Account(published=10))
    with pytest.raises(ChaosError, match="2 bars came through more than once"):
        chaos.check(Account(published=8, superseded=2))
