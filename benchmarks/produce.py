"""From a Parquet file to a topic: ours, ours in resumable transactions, row by row, and row by row with a flush after each."""

from __future__ import annotations

import math
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measuring.broker import PARTITIONS, SYMBOLS, Bench, open_bench
from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.process import run_process
from benchmarks.measuring.report import Figures, measure
from benchmarks.producing.work import Work
from ingestion.sources import FEED_SCHEMA, SyntheticFeed
from ingestion.topic import ensure_topic
from tickhouse.settings import as_environment, process_environment

NAME = "produce"
CPU, RATE = "CPU µs/message", "messages/s"


@dataclass(frozen=True)
class Way:
    """A program of `benchmarks.producing`, with as many messages as asked for, or `most` where it is slow."""

    program: str
    most: int = sys.maxsize


WAYS = {
    "ours": Way("ours"),
    "ours, resumable": Way("resumable"),
    "row by row": Way("rowwise", most=200_000),
    "flush per message": Way("flushed", most=2_000),
}


def main() -> int:
    amount = Amount(3_000_000, "messages", f"bars of a Parquet file, {PARTITIONS} partitions, one broker")
    return run_benchmark(NAME, __doc__, amount, WAYS, open_bench, run)


def run(bench: Bench, names: Sequence[str], messages: int, runs: int) -> tuple[Figures, dict[str, float]]:
    """All figures, and the ratios of what was run."""
    ways = {name: WAYS[name] for name in names}
    files = {count: write_bars(bench.folder, count) for count in {min(messages, way.most) for way in ways.values()}}
    cases = {name: partial(produce, bench, way, files[min(messages, way.most)], messages) for name, way in ways.items()}
    figures = measure(cases, runs)
    return figures, make_ratios(figures)


def write_bars(folder: Path, count: int) -> Path:
    """A Parquet file of so many seeded one-minute bars, in the order of time."""
    path, left = folder / f"bars-{count}.parquet", count
    with pq.ParquetWriter(path, FEED_SCHEMA) as writer:
        for piece in SyntheticFeed(symbols=SYMBOLS, bars=math.ceil(count / SYMBOLS)).pieces():
            writer.write_table(piece.slice(0, left))
            left -= min(left, piece.num_rows)
    return path


def produce(bench: Bench, way: Way, file: Path, messages: int) -> dict[str, float]:
    """One run of a way, in a process of its own, to a topic of its own."""
    topic = f"bars-{uuid.uuid4().hex}"
    with bench.new_folder() as folder:
        settings = bench.settings(topic, folder)
        ensure_topic(settings)
        work = Work(bench.bootstrap_servers, topic, min(messages, way.most), file)
        command = [sys.executable, "-m", f"benchmarks.producing.{way.program}", *work.as_arguments()]
        return run_process(command, {**process_environment(), **as_environment(settings)})


def make_ratios(figures: Figures) -> dict[str, float]:
    ratios = {
        "ours_rate_over_row_by_row": figures.ratio(RATE, "ours", "row by row"),
        "ours_rate_over_flush_per_message": figures.ratio(RATE, "ours", "flush per message"),
        "row_by_row_cpu_over_ours": figures.ratio(CPU, "row by row", "ours"),
        "resumable_rate_over_ours": figures.ratio(RATE, "ours, resumable", "ours"),
    }
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
