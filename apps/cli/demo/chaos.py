"""Chaos: kills the ingestor, the broker and builds while a demo replays, and sees each come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import psutil
import pyarrow as pa

from apps.cli.demo.stages import Account, Stages

BARS_PER_SECOND = 500.0
"""Slow enough that a kill falls into the replay: rows land twice a second, and a part of the default replay lasts seconds."""

OUTAGES = ("ingestor", "broker")
"""Processes of the demo's own, which it starts again; a build is Dagster's, and its sensor asks for the next."""
BUILD = "build"
MODELLING, PUBLISHING = "while it modelled", "modelled, before it had published"


class ChaosError(RuntimeError):
    """A kill did not happen, or left something behind that should not be."""


class Target(Protocol):
    """What is killed."""

    def restart(self, name: str) -> None:
        """Kill the process of that name, and start it again."""

    def is_ready(self, name: str) -> bool:
        """Whether it can be used."""

    def builder(self) -> psutil.Process | None:
        """The process of the build that has the warehouse now; None when there is none."""

    def modelled_builds(self) -> int:
        """The number of the last build whose models are done; 0 before the first."""


@dataclass(frozen=True)
class _Absence:
    """Who was killed, when (`time.monotonic`), and how many rows had landed or, for a build, were published."""

    victim: str
    rows: int
    since: float


class Chaos:
    """Kills each victim `kills` times, whenever the replay has come to where that is due. Progress decides, never the clock."""

    def __init__(self, target: Target, kills: int, say: Callable[[str], None]) -> None:
        self._target = target
        self._planned = kills
        self._say = say
        self._due: tuple[str, int] | None = None
        self._moments = [MODELLING if number % 2 == 0 else PUBLISHING for number in range(kills)]
        self._builder: tuple[psutil.Process, int] | None = None  # and `modelled_builds` when it was first seen
        self._builds_due = 0
        self._absent: dict[str, _Absence] = {}
        self._kills = dict.fromkeys((*OUTAGES, BUILD), 0)

    @property
    def kills(self) -> Mapping[str, int]:
        """How often each was killed so far. A process that had ended before it could be killed does not count."""
        return dict(self._kills)

    def parts(self, bars: pa.Table) -> Iterator[pa.Table]:
        """The bars in as many parts as the ingestor and the broker are killed, and a first one in which neither is: by its
        end both do their work.

        Asking for a part makes its kill due, at the part's first row that lands: so ask when `is_through` the part before.
        """
        victims = OUTAGES * self._planned
        size = -(-bars.num_rows // (len(victims) + 1))
        yield bars.slice(0, size)
        for number, victim in enumerate(victims, start=1):
            self._due, self._builds_due = (victim, number * size + 1), -(-number // len(OUTAGES))
            yield bars.slice(number * size, size)

    def is_through(self, stages: Stages, replayed: int) -> bool:
        """Whether the next part may begin, now that so many rows were replayed: all of them have landed, and as many builds
        were killed as the others were, or none is to come because all is published.
        """
        return stages.landed >= replayed and (self._kills[BUILD] >= self._builds_due or stages.published >= replayed)

    def look(self, stages: Stages) -> None:
        """Tell who has come back, and kill who is due."""
        self._tell_who_is_back(stages)
        self._strike_process(stages)
        self._strike_build(stages)

    def check(self, account: Account) -> None:
        """Raises ChaosError when somebody was killed less often than planned, or something came through twice."""
        if missing := [f"{victim} {times(count)}" for victim, count in self._kills.items() if count < self._planned]:
            raise ChaosError(f"of {times(self._planned)} each, killed were only: {', '.join(missing)}")
        if account.superseded:
            raise ChaosError(f"{account.superseded:,} bars came through more than once, and every one was sent once")

    def _tell_who_is_back(self, stages: Stages) -> None:
        for absence in list(self._absent.values()):
            if absence.victim == BUILD:
                is_back, what = stages.published > absence.rows, "another build has published what the killed one had in hand"
            else:
                is_back = stages.landed > absence.rows and self._target.is_ready(absence.victim)
                what = f"the {absence.victim} is back, and rows land again"
            if is_back:
                del self._absent[absence.victim]
                self._say(f"{what}, {time.monotonic() - absence.since:.1f} s after the kill")

    def _strike_process(self, stages: Stages) -> None:
        if self._due is None or any(victim in self._absent for victim in OUTAGES):
            return
        victim, rows = self._due
        if stages.landed >= rows:
            self._due = None
            self._target.restart(victim)
            self._note(victim, stages.landed, f"the {victim}", f"with {stages.landed:,} rows landed")

    def _strike_build(self, stages: Stages) -> None:
        if not self._moments:
            return
        holder, modelled = self._target.builder(), self._target.modelled_builds()
        if holder is not None and (self._builder is None or self._builder[0] != holder):
            self._builder = (holder, modelled)
        if self._builder is None:
            return
        # Between modelling and publishing a build lets go of the warehouse for a moment: it is known from before.
        process, before = self._builder
        is_there = modelled > before if self._moments[0] == PUBLISHING else holder is not None and modelled == before
        if is_there and _kill(process):
            self._builder = None
            self._note(BUILD, stages.published, "a build", self._moments.pop(0))

    def _note(self, victim: str, rows: int, who: str, where: str) -> None:
        self._kills[victim] += 1
        self._absent[victim] = _Absence(victim, rows, time.monotonic())
        self._say(f"killed {who}, {where} ({self._kills[victim]} of {self._planned})")


def times(count: int) -> str:
    """`1 time`, `2 times`."""
    return f"{count:,} time{'' if count == 1 else 's'}"


def _kill(process: psutil.Process) -> bool:
    """Whether there was something to kill."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True
