"""The demo's replay: the sample's history at full speed, then its last dates at a pace one can watch."""

from __future__ import annotations

import threading

import pyarrow as pa
import pyarrow.compute as pc

from apps.cli.start import with_changes
from ingestion.producer import replay
from ingestion.sources import split_at
from tickhouse.settings import Settings


class FeedError(RuntimeError):
    """The replay broke off, or the broker refused messages."""


class Feed:
    """Replays parts one after the other in a thread of its own, and counts what was delivered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._delivered = 0
        self._part = 0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def delivered(self) -> int:
        """Messages the broker has taken so far, of all parts."""
        return self._delivered + self._part

    def start(self, bars: pa.Table, bars_per_second: float | None = None) -> None:
        """Begin a part; the one before must have ended."""
        settings = with_changes(self._settings, "producer", rate=bars_per_second)
        self._thread = threading.Thread(target=self._replay, args=(settings, bars), daemon=True, name="feed")
        self._thread.start()

    def is_running(self) -> bool:
        """Whether the part goes on. Raises FeedError when it broke off."""
        if self._error is not None:
            raise FeedError(f"the replay broke off: {self._error}") from self._error
        return self._thread is not None and self._thread.is_alive()

    def _replay(self, settings: Settings, bars: pa.Table) -> None:
        try:
            report = replay(settings, bars, on_progress=self._note)
            if report.failed:
                raise FeedError(f"{report.failed:,} of {report.produced:,} messages were not delivered: {report.first_error}")
            self._delivered, self._part = self._delivered + report.delivered, 0
        except BaseException as error:
            self._error = error

    def _note(self, delivered: int, _total: int | None) -> None:
        self._part = delivered


def split_last_dates(bars: pa.Table, dates: int) -> tuple[pa.Table, pa.Table]:
    """The bars before the last so many trading dates, and those of them."""
    days = sorted(pc.unique(bars["ts"]).to_pylist())
    if dates <= 0:
        return bars, bars.slice(bars.num_rows)
    return split_at(bars, days[-min(dates, len(days))])
