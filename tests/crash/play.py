"""Rounds, one after the other, on one broker: which scenario comes when, and what came of it."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient
from crash import scenarios
from crash.arena import Arena
from crash.balance import Balance
from crash.disk import SmallDisk
from crash.feed import Feed
from crash.workers import prepare_to_fork

from ingestion.broker import KafkaBroker

Scenario = Callable[[Arena], None]

DISK_BYTES = 4 * 1024 * 1024
CYCLE: tuple[Scenario, ...] = (
    scenarios.killed_at_points,
    scenarios.thawed_after_compaction,
    scenarios.killed_in_a_rebalance,
    scenarios.killed_at_points,
    scenarios.compactor_killed,
    scenarios.disk_filled,
    scenarios.killed_at_points,
    scenarios.thawed_beside_a_successor,
    scenarios.joining_and_leaving,
    scenarios.compactor_thawed,
    scenarios.killed_at_random,
    scenarios.thawed_after_compaction,
    scenarios.killed_at_points,
    scenarios.thawed_beside_a_successor,
    scenarios.broker_killed,
)


@dataclass(frozen=True)
class Report:
    """A round that went well."""

    name: str
    harm: Counter[str]
    balance: Balance
    seconds: float

    def __str__(self) -> str:
        done = ", ".join(name if times == 1 else f"{name} ×{times}" for name, times in self.harm.items())
        return f"{self.name} ({done}): {self.balance}, {self.seconds:.1f} s"


class Play:
    """Plays rounds on `broker`, in folders below `folder`; a round's scenario and chances follow from seed and number alone."""

    def __init__(self, broker: KafkaBroker, folder: Path, seed: int) -> None:
        prepare_to_fork()
        self.seed = seed
        self._broker = broker
        self._folder = folder
        self._feed = Feed(broker.bootstrap_servers)
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})

    def round(self, number: int, scenario: Scenario | None = None) -> Report:
        """Play the scenario, or the one whose turn it is. Raises AssertionError when not all is well; the lake is then left."""
        scenario = scenario or CYCLE[number % len(CYCLE)]
        self._broker.start()  # where the round before has failed without it
        started = time.monotonic()
        with self._arena(f"{number}-{scenario.__name__}", scenario is scenarios.disk_filled) as arena:
            scenario(arena)
            balance = arena.settle()
        arena.sweep()
        self._admin.delete_topics([arena.settings.kafka.topic])  # a broker that restarts looks through every topic it has
        return Report(scenario.__name__.replace("_", " "), arena.harm, balance, time.monotonic() - started)

    @contextmanager
    def _arena(self, name: str, is_on_small_disk: bool) -> Iterator[Arena]:
        folder = self._folder / name
        chance = random.Random(f"{self.seed} {name}")
        own = f"{name}-{uuid.uuid4().hex[:6]}"
        if not is_on_small_disk:
            with Arena(own, folder, chance, self._broker, self._feed) as arena:
                yield arena
            return
        with SmallDisk(folder / "disk", DISK_BYTES) as disk, Arena(own, folder, chance, self._broker, self._feed, disk) as arena:
            yield arena
