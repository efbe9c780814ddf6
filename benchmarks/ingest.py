"""From a topic to Parquet: raw librdkafka (the ceiling), the naive way, quixstreams, a careful way by hand, and ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.consuming.task import Task
from benchmarks.measuring.broker import PARTITIONS, Bench, open_bench
from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.environment import ensure_environment
from benchmarks.measuring.process import ROOT, run_process
from benchmarks.measuring.report import Figures, measure
from benchmarks.measuring.saved import bytes_saved_pct
from tickhouse.settings import Settings, as_environment, process_environment

NAME = "ingest"
WARM_UP_MESSAGES = 3_000
FILE_ROWS = 100_000
CPU, RATE = "CPU µs/message", "messages/s"


@dataclass(frozen=True)
class Way:
    """A program of `benchmarks.consuming`, on a topic of so many times the messages asked for, and of `most` where it is slow."""

    program: str
    times: int = 1
    most: int = sys.maxsize
    environment: str | None = None

    @property
    def python(self) -> Path:
        """The interpreter it runs on: ours, or of an environment of its own, which is made at first."""
        if self.environment is None:
            return Path(sys.executable)
        return ensure_environment(self.environment, ROOT / "benchmarks" / f"{self.environment}.lock")

    def count(self, messages: int) -> int:
        return min(messages * self.times, self.most)


WAYS = {
    "ceiling": Way("ceiling"),
    "careful": Way("careful"),
    "ours": Way("ours"),
    "naive": Way("naive", most=20_000),
    "quixstreams": Way("quix", most=100_000, environment="quixstreams"),
    "backlog": Way("ours", times=3),
}
"""`backlog` is ours once more, on a topic three times as long, for its memory."""


def main() -> int:
    amount = Amount(1_000_000, "messages", f"one-minute bars as JSON, {PARTITIONS} partitions, one broker")
    return run_benchmark(NAME, __doc__, amount, WAYS, open_bench, run)


def run(bench: Bench, names: Sequence[str], messages: int, runs: int) -> tuple[Figures, dict[str, float]]:
    """All figures, and the ratios of what was run."""
    ways = {name: WAYS[name] for name in names}
    counts = {name: way.count(messages) for name, way in ways.items()}
    topics = {}
    for count in sorted({WARM_UP_MESSAGES, *counts.values()}):
        print(f"Producing {count:,} bars", flush=True)
        topics[count] = bench.fill(count)
    for way in ways.values():  # what compiles is compiled then, what does not run says so
        consume(bench, way, topics[WARM_UP_MESSAGES], WARM_UP_MESSAGES)
    cases = {name: partial(consume, bench, way, topics[counts[name]], counts[name]) for name, way in ways.items()}
    figures = measure(cases, runs)
    return figures, make_ratios(figures, saved_pct(bench, topics[messages], messages) if "ours" in ways else None)


def consume(bench: Bench, way: Way, topic: str, messages: int) -> dict[str, float]:
    """One run of a way, in a process and a folder of its own."""
    with bench.new_folder() as folder:
        return run_program(way, bench.settings(topic, folder), messages)


def run_program(way: Way, settings: Settings, messages: int) -> dict[str, float]:
    kafka = settings.kafka
    task = Task(kafka.bootstrap_servers, kafka.topic, kafka.partitions, messages, settings.data_dir)
    command = [str(way.python), "-m", f"benchmarks.consuming.{way.program}", *task.as_arguments()]
    return run_process(command, {**process_environment(), **as_environment(settings)})


def saved_pct(bench: Bench, topic: str, messages: int) -> float | None:
    """What slots of 100,000 rows save; None when the topic is too small to fill one in each partition."""
    if messages < FILE_ROWS * PARTITIONS * 1.1:
        return None
    with bench.new_folder() as folder:
        settings = bench.settings(topic, folder, flush_rows=FILE_ROWS, flush_seconds=5.0)
        run_program(WAYS["ours"], settings, messages)
        return bytes_saved_pct(settings, messages, FILE_ROWS)


def make_ratios(figures: Figures, saved: float | None) -> dict[str, float]:
    ratios = {
        "naive_cpu_over_ours": figures.ratio(CPU, "naive", "ours"),
        "ours_cpu_over_ceiling": figures.ratio(CPU, "ours", "ceiling"),
        "quixstreams_cpu_over_ours": figures.ratio(CPU, "quixstreams", "ours"),
        "careful_cpu_over_ours": figures.ratio(CPU, "careful", "ours"),
        "ours_rate_over_naive": figures.ratio(RATE, "ours", "naive"),
        "ours_rate_over_quixstreams": figures.ratio(RATE, "ours", "quixstreams"),
        "ours_rate_over_careful": figures.ratio(RATE, "ours", "careful"),
        "ours_rate_over_ceiling": figures.ratio(RATE, "ours", "ceiling"),
        "bytes_saved_vs_json_pct": saved,
        "backlog_peak_over_shorter": figures.ratio("MiB at most", "backlog", "ours"),
    }
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
