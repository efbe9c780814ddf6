"""How soon a bar is published after it landed, and readable through the API after it was produced: warm launcher and stock, and
behind a long history."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring.command import Amount, run_benchmark
from benchmarks.measuring.folder import open_folder
from benchmarks.measuring.process import CaseError
from benchmarks.measuring.report import Figures, measure
from benchmarks.refreshing.stack import running, stack_settings
from benchmarks.refreshing.timing import Answers, Times, asking, published_end, published_number, times_of
from ingestion.producer import replay
from ingestion.sources.feed import Feed
from ingestion.sources.synthetic import SyntheticFeed
from tickhouse.settings import ProducerSettings

NAME = "freshness"
WARM, STOCK, LONG = "warm launcher", "stock launcher", "warm launcher, 12.5 M bars before"
CASES = (WARM, STOCK, LONG)
YOUNG = SyntheticFeed(symbols=5, interval="1m", bars=400)
OLD = SyntheticFeed(symbols=5_000, interval="1d", bars=2_500)
BURST_BARS, BURSTS, BURST_PAUSE_SECONDS = 500, 3, 5.0
BEHIND_SECONDS, HISTORY_SECONDS = 120.0, 1_800.0

say = partial(print, flush=True)


def main() -> int:
    subject = f"of one bar a second, then {BURSTS} bursts of {BURST_BARS} bars, after {YOUNG.rows:,} bars and after {OLD.rows:,}"
    return run_benchmark(NAME, __doc__, Amount(60, "seconds", subject), CASES, open_folder, run)


def run(folder: Path, names: Sequence[str], seconds: int, runs: int) -> tuple[Figures, dict[str, float]]:
    old = Stack(folder / "old", "warm", OLD)
    cases: dict[str, Callable[[], dict[str, float]]] = {
        WARM: partial(stream, folder, "warm", seconds),
        STOCK: partial(stream, folder, "stock", seconds),
        LONG: partial(old.stream, seconds),
    }
    figures = measure({name: cases[name] for name in names}, runs, say)
    return figures, make_ratios(figures)


def stream(folder: Path, launcher: str, seconds: int) -> dict[str, float]:
    """One run of the whole stack, from an empty folder."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return Stack(Path(own), launcher, YOUNG).stream(seconds)


class Stack:
    """The whole stack in a folder: it sends `history` first, and goes on after it as often as it is asked to."""

    def __init__(self, folder: Path, launcher: str, history: SyntheticFeed) -> None:
        folder.mkdir(exist_ok=True)
        self._settings = stack_settings(folder, launcher)
        self._history = history
        self._sent = 0

    def stream(self, seconds: int) -> dict[str, float]:
        """One bar a second, then bursts."""
        until = max(self._sent, self._history.rows) + seconds + BURSTS * BURST_BARS
        feed = replace(self._history, bars=-(-until // self._history.symbols))
        symbol = next(feed.pieces())["symbol"][0].as_py()
        with running(self._settings), asking(self._settings, symbol, feed.interval) as answers:
            if not self._sent:
                self._send(self._history, self._history.rows, answers, patience=HISTORY_SECONDS)
            rest = pa.concat_tables(feed.pieces(steady_from := self._sent))
            self._send(rest.slice(0, seconds), seconds, answers, rate=1.0)
            steady = times_of(self._settings, answers, steady_from)
            burst_from = self._sent
            for _ in range(BURSTS):
                self._send(rest.slice(self._sent - steady_from, BURST_BARS), BURST_BARS, answers)
                time.sleep(BURST_PAUSE_SECONDS)
            burst = times_of(self._settings, answers, burst_from)
        return {**figures_of("", steady), **figures_of("burst ", burst)}

    def _send(
        self,
        bars: Feed | pa.Table,
        count: int,
        answers: Answers,
        *,
        rate: float | None = None,
        patience: float = BEHIND_SECONDS,
    ) -> None:
        """Produce so many bars and wait until they are published, and the API answers from there."""
        paced = self._settings.model_copy(update={"producer": ProducerSettings(rate=rate)})
        if (report := replay(paced, bars)).failed:
            raise CaseError(f"{report.failed} bars were not delivered: {report.first_error}")
        self._sent += count
        deadline = time.monotonic() + patience
        while (published := published_end(self._settings)) < self._sent or answers.newest < published_number(self._settings):
            if time.monotonic() > deadline:
                raise CaseError(
                    f"after {patience:.0f} s {published:,} of {self._sent:,} bars were published, "
                    f"and the API answered from snapshot {answers.newest}"
                )
            time.sleep(0.1)


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
        "landed_to_published_p95_seconds_after_12_5_m_bars": figures.median(landed, LONG),
        "produced_to_api_p95_seconds_after_12_5_m_bars": figures.median(produced, LONG),
    }
    return {name: value for name, value in ratios.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
