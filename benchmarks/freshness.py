"""How soon a bar is published after it landed, and readable through the API after it was produced: warm launcher and stock."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.folder import open_folder
from benchmarks.measuring.process import CaseError
from benchmarks.measuring.report import Figures, measure
from benchmarks.refreshing.stack import running, stack_settings
from benchmarks.refreshing.timing import Times, asking, published_end, times_of
from ingestion.producer import replay
from ingestion.sources.synthetic import SyntheticFeed
from tickhouse.settings import ProducerSettings, Settings

NAME = "freshness"
WARM, STOCK = "warm launcher", "stock launcher"
CASES = (WARM, STOCK)
LAUNCHERS = {WARM: "warm", STOCK: "stock"}
SYMBOLS = 5
HISTORY_BARS = 2_000
BURST_BARS, BURSTS, BURST_PAUSE_SECONDS = 500, 3, 5.0
BEHIND_SECONDS = 120.0

say = partial(print, flush=True)


def main() -> int:
    subject = f"of one bar a second, then {BURSTS} bursts of {BURST_BARS} bars; five symbols of one-minute bars"
    return run_benchmark(NAME, __doc__, Amount(60, "seconds", subject), CASES, open_folder, run)


def run(folder: Path, names: Sequence[str], seconds: int, runs: int) -> tuple[Figures, dict[str, float]]:
    cases = {name: partial(stream, folder, LAUNCHERS[name], seconds) for name in names}
    figures = measure(cases, runs, say)
    return figures, make_ratios(figures)


def stream(folder: Path, launcher: str, seconds: int) -> dict[str, float]:
    """One run of the whole stack, from an empty folder."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        settings = stack_settings(Path(own), launcher)
        bars = SYMBOLS * (-(-(HISTORY_BARS + seconds + BURSTS * BURST_BARS) // SYMBOLS))
        feed = pa.concat_tables(SyntheticFeed(symbols=SYMBOLS, interval="1m", bars=bars // SYMBOLS).pieces())
        with running(settings), asking(settings, feed["symbol"][0].as_py()) as answers:
            at = send(settings, feed, 0, HISTORY_BARS)
            at = send(settings, feed, at, seconds, rate=1.0)
            steady = times_of(settings, answers, HISTORY_BARS)
            burst_from = at
            for _ in range(BURSTS):
                at = send(settings, feed, at, BURST_BARS)
                time.sleep(BURST_PAUSE_SECONDS)
            burst = times_of(settings, answers, burst_from)
    return {**figures_of("", steady), **figures_of("burst ", burst)}


def send(settings: Settings, feed: pa.Table, at: int, count: int, rate: float | None = None) -> int:
    """Produce so many bars of the feed from `at` on, and wait until they are published; where the next begin."""
    paced = settings.model_copy(update={"producer": ProducerSettings(rate=rate)})
    if (report := replay(paced, feed.slice(at, count))).failed:
        raise CaseError(f"{report.failed} bars were not delivered: {report.first_error}")
    deadline = time.monotonic() + BEHIND_SECONDS
    while published_end(settings) < at + count:
        if time.monotonic() > deadline:
            raise CaseError(f"{at + count - published_end(settings)} bars were not published after {BEHIND_SECONDS:.0f} s")
        time.sleep(0.1)
    time.sleep(0.5)  # the API, too, has been asked since
    return at + count


def figures_of(prefix: str, times: Times) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, values in (
        ("landed → published", times.landed_to_published),
        ("produced → API", times.produced_to_answered),
    ):
        p50, p95 = np.percentile(values, [50, 95])
        figures |= {f"{prefix}{name}, p50 s": p50, f"{prefix}{name}, p95 s": p95, f"{prefix}{name}, max s": values.max()}
    return figures


def make_ratios(figures: Figures) -> dict[str, float]:
    landed, produced = "landed → published, p95 s", "produced → API, p95 s"
    ratios = {
        "landed_to_published_p95_seconds": figures.median(landed, WARM),
        "produced_to_api_p95_seconds": figures.median(produced, WARM),
        "stock_over_warm": figures.ratio(landed, STOCK, WARM),
    }
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
