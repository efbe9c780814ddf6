"""How far work has come: a moving bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_SECONDS = 10.0

Show = Callable[[int, int | None], None]
Clock = Callable[[], float]


@contextmanager
def showing_progress(console: Console, description: str, *, is_steady: bool = True, noun: str = "bars") -> Iterator[Show]:
    """A function to tell (done, total) as often as one likes; the total is None where there is none.

    The time that is left is told of what is steady: elsewhere the rate so far says nothing about the rest.
    """
    if not console.is_terminal:

        def write(line: str) -> None:
            console.print(f"{description}: {line}", highlight=False, soft_wrap=True)

        yield ProgressLines(write, is_steady=is_steady, noun=noun).show
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RateColumn())
    with Progress(*columns, *([TimeRemainingColumn()] if is_steady else []), console=console) as progress:
        yield _Bar(progress, description).show


class Stages:
    """A moving bar for each stage of a long work, one after the other, on the error output."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self._stage = ""
        self._show: Show | None = None

    def tell(self, stage: str, done: int, total: int | None) -> None:
        """The stage says what is counted and what is done to it: `landed bars, looked at`."""
        if stage != self._stage or self._show is None:
            self._opened.pop_all().close()
            noun = stage.partition(",")[0]
            self._stage = stage
            self._show = self._opened.enter_context(showing_progress(Console(stderr=True), stage, noun=noun))
        self._show(done, total)


class ProgressLines:
    """A line every ten seconds: how many of how many, how many a second since the line before, and, of what is steady, how
    long it will take."""

    def __init__(
        self, write: Callable[[str], object], clock: Clock = time.monotonic, *, is_steady: bool = True, noun: str = "bars"
    ) -> None:
        self._write = write
        self._noun = noun
        self._clock = clock
        self._is_steady = is_steady
        self._last: tuple[float, int] | None = None

    def show(self, done: int, total: int | None) -> None:
        """Write a line if it is time for one. What was done at the first call was done before."""
        now = self._clock()
        if self._last is None:
            self._last = now, done
        then, before = self._last
        if now - then < LINE_SECONDS:
            return
        self._last = now, done
        self._write(progress_line(done, total, (done - before) / (now - then), is_steady=self._is_steady, noun=self._noun))


def progress_line(done: int, total: int | None, rate: float, *, is_steady: bool = True, noun: str = "bars") -> str:
    """`rate` is in bars, or what else the noun says, a second."""
    of = "" if total is None else f" of {total:,} {noun} ({done / total:.0%})" if total else f" of 0 {noun}"
    left = f", {_duration((total - done) / rate)} left" if is_steady and total is not None and rate > 0 else ""
    return f"{done:,}{of or f' {noun}'}, {rate:,.0f}/s{left}"


class _Bar:
    def __init__(self, progress: Progress, description: str) -> None:
        self._progress = progress
        self._description = description
        self._begun = False

    def show(self, done: int, total: int | None) -> None:
        if not self._begun:  # what was done before is no speed
            self._task = self._progress.add_task(self._description, total=total, completed=done)
            self._begun = True
        self._progress.update(self._task, completed=done)


class _RateColumn(ProgressColumn):
    """Bars a second, of late; at the end of all."""

    def render(self, task: Task) -> Text:
        """The rate as text, empty before there is one."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:,.0f}/s", style="progress.data.speed")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
