"""What is done to ingestors, disk and broker in a round, while messages are sent."""

from __future__ import annotations

import signal
import time

from crash.arena import Arena
from crash.points import COMMITTING, DELETING, REBALANCING, WRITING, Trap
from crash.workers import Ingestor

ANYWHERE = "anywhere"


def killed_at_points(arena: Arena) -> None:
    """Four, two at a time and of two groups, each killed at a point of writing or before its commit."""
    kill_at(arena, arena.chance.sample((*WRITING, COMMITTING), 4))


def killed_at_every_point(arena: Arena) -> None:
    kill_at(arena, [*WRITING, COMMITTING])


def kill_at(arena: Arena, points: list[str]) -> None:
    while points:
        pair, points = points[:2], points[2:]
        doomed = [arena.start(trap(arena, point), arena.another_group()) for point in pair]
        for ingestor in doomed:
            arena.wait_for_trap(ingestor)
        arena.lay_litter()
    arena.start()
    arena.wait_for_growth()


def killed_at_random(arena: Arena) -> None:
    """One after the other, each killed at any moment from its start on; groups that wait for the dead and groups that do not."""
    for _ in range(5):
        ingestor = arena.start(group=arena.chance.choice([None, arena.another_group(), arena.another_group()]))
        if arena.chance.random() < 0.6:
            arena.wait_for_growth(arena.chance.randint(1, 4))
        pause(arena, 0.25)
        arena.kill(ingestor)


def killed_in_a_rebalance(arena: Arena) -> None:
    """Others join and leave until one is killed in the midst of giving or taking partitions."""
    for point in REBALANCING:
        doomed = arena.start(Trap(point, arena.chance.randint(1, 4 if point == "in-assign" else 3)))
        while doomed.exit_code is None:
            guest = arena.start()
            arena.wait_for_either(doomed, guest)
            arena.end(guest)
        arena.wait_for_trap(doomed)
    arena.start()
    arena.wait_for_growth()


def joining_and_leaving(arena: Arena) -> None:
    """Up to three of one group; in any order they join, leave and are killed."""
    alive = [arena.start()]
    arena.wait_for_growth()
    for _ in range(5):
        if len(alive) < 3 and (len(alive) < 2 or arena.chance.random() < 0.5):
            alive.append(arena.start())
            arena.harm["joined"] += 1
        elif arena.chance.random() < 0.6:
            arena.end(alive.pop(arena.chance.randrange(len(alive))))
            arena.harm["left"] += 1
        else:
            arena.kill(alive.pop(arena.chance.randrange(len(alive))))
        if alive and arena.chance.random() < 0.7:
            arena.wait_for_growth()
        else:
            pause(arena, 0.4)


def thawed_beside_a_successor(arena: Arena) -> None:
    """Frozen anywhere, often in the midst of a write, past its session; a successor goes on; then it wakes as a zombie."""
    sleeper = freeze_one(arena, arena.chance.choice([*WRITING, COMMITTING, ANYWHERE]))
    successor = arena.start()
    arena.wait_for_growth(3)
    thaw_beside(arena, sleeper, successor)


def thawed_after_compaction(arena: Arena) -> None:
    """The same, and the slots that landed meanwhile are compacted before it wakes: its place in the chain is free again.

    A successor of another group does not wait for the end of the session: the sleeper may then wake as a member in
    good standing, and go on alone.
    """
    sleeper = freeze_one(arena, arena.chance.choice([*WRITING[:-2], ANYWHERE]))
    successor = arena.start(group=arena.chance.choice([None, arena.another_group()]))
    arena.wait_for_growth(3)
    arena.compact()
    if arena.chance.random() < 0.5:
        arena.start_compactor()
    thaw_beside(arena, sleeper, successor, likelihood=0.8)


def freeze_one(arena: Arena, point: str) -> Ingestor:
    """An ingestor that is frozen; what lands from now on lands by others."""
    if point == ANYWHERE:
        sleeper = arena.start()
        arena.wait_for_growth()
        sleeper.freeze()
    else:
        sleeper = arena.start(trap(arena, point, signal.SIGSTOP))
        sleeper.wait_until_frozen()
    arena.harm[f"frozen {point}"] += 1
    arena.lay_litter()
    return sleeper


def thaw_beside(arena: Arena, sleeper: Ingestor, successor: Ingestor, likelihood: float = 0.5) -> None:
    """Wake the sleeper while its successor works; with some likelihood that one then dies and the sleeper has to go on."""
    sleeper.thaw()
    arena.wait_for_growth(2)
    if arena.chance.random() < likelihood:
        arena.kill(successor)
        arena.wait_for_growth()


def compactor_killed(arena: Arena) -> None:
    """Compactors are killed at points of writing an archive and of deleting slots, beside an ingestor that goes on."""
    arena.start()
    arena.wait_for_growth()
    for point in arena.chance.sample([*WRITING, DELETING], 3):
        area = "landing" if point == DELETING else "archive"
        arena.wait_for_trap(arena.start_compactor(Trap(point, arena.chance.randint(1, 4), area)))
    arena.start_compactor()
    arena.wait_for_growth()


def compactor_thawed(arena: Arena) -> None:
    """One is frozen in the midst of its work, and wakes when others have compacted what it had in hand, and more."""
    arena.start()
    arena.wait_for_growth()
    point = arena.chance.choice([*WRITING, DELETING])
    area = "landing" if point == DELETING else "archive"
    sleeper = arena.start_compactor(Trap(point, arena.chance.randint(1, 4), area, signal.SIGSTOP))
    sleeper.wait_until_frozen()
    arena.harm[f"compactor frozen {point}"] += 1
    arena.wait_for_growth(2)
    arena.compact()
    arena.start_compactor()
    sleeper.thaw()
    arena.wait_for_growth(2)


def broker_killed(arena: Arena) -> None:
    """The broker dies under an ingestor, which waits; another starts while there is none."""
    arena.start()
    arena.wait_for_growth(2)
    arena.broker.kill()
    arena.harm["broker killed"] += 1
    if arena.chance.random() < 0.5:
        arena.kill(arena.workers[0])
    arena.start(group=arena.another_group())
    arena.broker.start()
    arena.wait_for_growth(2)


def disk_filled(arena: Arena) -> None:
    """The lake's disk fills up under one ingestor and then two, which say so and try again; when there is room they go on."""
    assert arena.disk is not None
    for _ in range(2):
        ingestor = arena.start(group=arena.another_group())
        arena.wait_for_growth()
        arena.disk.fill(spare=arena.chance.randrange(0, 40_000))
        ingestor.wait_until_told("No space left on device")
        pause(arena, 0.5)
        arena.harm["disk filled"] += 1
        arena.disk.clear()
        arena.wait_for_growth()


def trap(arena: Arena, point: str, number: signal.Signals = signal.SIGKILL) -> Trap:
    area = "dead_letter" if point in WRITING and arena.chance.random() < 0.2 else "landing"
    return Trap(point, arena.chance.randint(1, 6), area, number)


def pause(arena: Arena, seconds: float) -> None:
    """Let things happen for a while, at most `seconds`: when the next blow falls is to be chance."""
    time.sleep(arena.chance.uniform(0, seconds))
