"""The short form of `make crash`: whatever is done to the ingestors, each message lands once and none is lost.

What is done and checked is in `scenarios` and `balance` beside this file.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from crash import scenarios
from crash.arena import Arena
from crash.disk import NoDiskError
from crash.play import Play, Report
from crash.points import COMMITTING, REBALANCING, WRITING

from ingestion.broker import KafkaBroker
from tickhouse.settings import Settings

Game = Callable[[Callable[[Arena], None]], Report]


@pytest.fixture(scope="module")
def play(kafka_broker: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Play:
    return Play(kafka_broker, tmp_path_factory.mktemp("crash"), random.SystemRandom().randrange(10**6))


@pytest.fixture
def game(play: Play, settings: Settings, record_property: Callable[[str, object], None]) -> Game:
    """Plays one round; a failure shows the seed."""
    print(f"seed {play.seed}")  # noqa: T201 - pytest shows it with a failure
    return lambda scenario: play.round(0, scenario)


def test_killed_at_any_point_of_a_write_or_before_the_commit(game: Game) -> None:
    done = game(scenarios.killed_at_every_point)
    assert {*WRITING, COMMITTING} <= done.harm.keys()


def test_killed_in_the_midst_of_a_rebalance(game: Game) -> None:
    assert set(REBALANCING) <= game(scenarios.killed_in_a_rebalance).harm.keys()


def test_frozen_past_its_session_and_thawed_beside_its_successor(game: Game) -> None:
    game(scenarios.thawed_beside_a_successor)


def test_thawed_after_its_place_in_the_chain_was_compacted(game: Game) -> None:
    game(scenarios.thawed_after_compaction)


def test_a_compactor_that_is_killed_beside_an_ingestor(game: Game) -> None:
    game(scenarios.compactor_killed)


def test_two_and_three_that_join_and_leave_and_die(game: Game) -> None:
    game(scenarios.joining_and_leaving)


def test_a_broker_that_dies_and_comes_back(game: Game) -> None:
    game(scenarios.broker_killed)


def test_a_disk_that_fills_up(game: Game) -> None:
    try:
        game(scenarios.disk_filled)
    except NoDiskError as error:
        pytest.skip(str(error))
