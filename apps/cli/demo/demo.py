"""A demo from start to end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa
from rich.console import Console

from apps.cli.demo.chaos import BARS_PER_SECOND, Chaos
from apps.cli.demo.feed import Feed, split_last_dates
from apps.cli.demo.plan import DemoOptions, demo_addresses, demo_settings, held_folder
from apps.cli.demo.processes import Stack
from apps.cli.demo.report import DemoResult, StageDisplay, addresses_table, result_table
from apps.cli.demo.stages import StageCounter, Stages
from apps.cli.ending import interrupt_on_signals
from apps.cli.ports import refuse_taken_ports
from apps.cli.start import with_changes
from apps.cli.supervisor import Supervisor
from ingestion.sources import read_sample
from tickhouse.logging import configure_logging
from tickhouse.settings import Settings
from tickhouse.storage import open_storage

LOOK_SECONDS = 0.25
ONCE_A_YEAR = "0 0 1 1 *"


class DemoFailedError(RuntimeError):
    """Not every bar came through, or not in time."""


def run_demo(settings: Settings, options: DemoOptions, console: Console) -> None:
    """Run it; what it started has ended when this returns or raises.

    Raises ValueError when a port is taken and FolderRefusedError when another demo has the folder, before anything is
    started; DemoFailedError, ProcessDiedError, NotReadyError or FeedError when something goes wrong. With `is_exiting` an
    interruption is a failure too.
    """
    begun = time.monotonic()
    own = demo_settings(settings)
    if options.kills:  # whoever has the build lock is killed for a build, and a look at freshness has it too
        own = with_changes(own, "dagster", freshness_cron=ONCE_A_YEAR)
    refuse_taken_ports(demo_addresses(own))
    with held_folder(own):
        configure_logging(with_changes(own, "logging", level="ERROR"))  # the stages' display has the terminal
        console.print(f"This demo has emptied {own.data_dir}, and keeps its data there. Ctrl-C ends everything.", soft_wrap=True)
        is_done = run_stack(own, options, console, begun)
    if options.is_exiting and not is_done:
        raise DemoFailedError("interrupted before everything was published and checked")
    console.print("Every process has ended.")


def run_stack(settings: Settings, options: DemoOptions, console: Console, begun: float) -> bool:
    """Start every process, replay and report, stay up if asked to, end every process; whether all was published and checked.

    `begun` is when the demo was started, as `time.monotonic` tells it.
    """
    is_done = False
    with interrupt_on_signals(), Supervisor(settings.log_path) as supervisor:
        try:
            stack = Stack(supervisor, settings, console)
            stack.start()
            if options.kills and not stack.has_broker:
                raise DemoFailedError("without Kafka there is no chaos: the mock that stands in keeps nothing over a kill")
            replay_and_report(stack, options, console, begun)
            is_done = True
            if not options.is_exiting:
                console.print("Everything stays up until Ctrl-C.", style="bold")
                stack.keep_up()
        finally:
            console.print("Ending every process …")
    return is_done


def replay_and_report(stack: Stack, options: DemoOptions, console: Console, begun: float) -> None:
    """Replay the sample, wait until all of it is published, check the account, print the tables.

    `begun` is when the demo was started, as `time.monotonic` tells it; the deadline counts from there.
    """
    bars = read_sample()
    chaos = Chaos(stack, options.kills, lambda line: console.print(line, style="bold", highlight=False, soft_wrap=True))
    history, live = split_last_dates(bars, 0 if options.is_exiting else options.live_dates)
    counter = StageCounter(stack.settings, open_storage(stack.settings))
    with StageDisplay(console, bars.num_rows) as display:
        watch = Watch(stack, counter, display, begun, options.deadline_seconds, chaos)
        if options.kills:
            watch.replay_under_kills(history)
        else:
            watch.replay(history)
        stack.wait_ready()
        if not options.is_exiting:
            console.print(addresses_table(stack.settings))
        if live.num_rows:
            counter.waits.clear()
            watch.replay(live, options.live_bars_per_second)
    stages = watch.look()
    check_account(stages, counter.account.total, bars.num_rows)
    if options.kills:
        chaos.check(counter.account)
    kills = chaos.kills if options.kills else {}
    result = DemoResult(stages, counter.account, watch.first_snapshot_seconds, counter.waits, stack.resident_bytes(), kills)
    console.print(result_table(result))


class Watch:
    """Replays and looks on until what was replayed is published."""

    def __init__(
        self,
        stack: Stack,
        counter: StageCounter,
        display: StageDisplay,
        begun: float,
        deadline_seconds: float,
        chaos: Chaos | None = None,
    ) -> None:
        self._stack = stack
        self._counter = counter
        self._display = display
        self._begun = begun
        self._deadline_seconds = deadline_seconds
        self._chaos = chaos
        self._feed = Feed(stack.settings)
        self._replayed = 0
        self.first_snapshot_seconds = 0.0

    def replay(self, bars: pa.Table, bars_per_second: float | None = None) -> None:
        """Replay the bars and return when a snapshot accounts for all that was replayed so far.

        Raises DemoFailedError at the deadline, and as the feed and the supervisor do.
        """
        self._replay(bars, bars_per_second, self._is_published)

    def replay_under_kills(self, bars: pa.Table) -> None:
        """Replay the bars part by part, with a kill in each but the first. Returns and raises as `replay` does."""
        assert self._chaos is not None
        chaos = self._chaos
        for part in chaos.parts(bars):
            self._replay(part, BARS_PER_SECOND, lambda stages: chaos.is_through(stages, self._replayed))
        self._replay(bars.slice(bars.num_rows), None, self._is_published)

    def _replay(self, bars: pa.Table, bars_per_second: float | None, is_enough: Callable[[Stages], bool]) -> None:
        """Replay the bars and return when the broker has taken all, and the rows at each stage are enough."""
        self._replayed += bars.num_rows
        if bars.num_rows:
            self._feed.start(bars, bars_per_second)
        while True:
            is_sending, stages = self._feed.is_running(), self.look()
            self._stack.advance()
            if self._chaos is not None:
                self._chaos.look(stages)
            if not is_sending and is_enough(stages):
                return
            if time.monotonic() - self._begun > self._deadline_seconds:
                raise DemoFailedError(self._late())
            time.sleep(LOOK_SECONDS)

    def _is_published(self, stages: Stages) -> bool:
        return stages.published >= self._replayed

    def look(self) -> Stages:
        """The rows at each stage now, which are shown too."""
        stages = self._counter.look(self._feed.delivered)
        if self._counter.account.snapshots and not self.first_snapshot_seconds:
            self.first_snapshot_seconds = time.monotonic() - self._begun
        self._display.show(stages)
        return stages

    def _late(self) -> str:
        counts = ", ".join(f"{name} {rows:,}" for name, rows in self.look().as_dict().items())
        return (
            f"not everything was published within {self._deadline_seconds:g} s: {counts}. Logs: {self._stack.settings.log_path}"
        )


def check_account(stages: Stages, accounted: int, replayed: int) -> None:
    """Raises DemoFailedError unless published + superseded + quarantined = replayed, and all of it was delivered once."""
    if not replayed == stages.produced == stages.landed == accounted:
        raise DemoFailedError(
            f"of {replayed:,} bars replayed, {stages.produced:,} were delivered, {stages.landed:,} landed, "
            f"and {accounted:,} are published, superseded or quarantined"
        )
