"""Replaying a feed with a progress bar."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from rich.console import Console

from apps.cli.ending import stop_on_signals
from apps.cli.progress import showing_progress
from ingestion.producer import ReplayReport, replay
from ingestion.resumption import resume_replay
from ingestion.sources import (
    Feed,
    FileOptions,
    SourceError,
    SyntheticFeed,
    TableFeed,
    bars_in,
    open_file,
    parse_mapping,
    read_sample,
)
from tickhouse.settings import Settings

SAMPLE = "sample"
SYNTHETIC = "synthetic"
_OPTIONS = {
    "a file": ("interval", "map", "symbol", "source"),
    "the sample": (),
    "the synthetic feed": ("interval", "symbols", "bars", "days", "seed", "start", "drift", "volatility"),
}


class UndeliveredError(RuntimeError):
    """The broker did not take every message."""


def open_feed(feed: str, options: Mapping[str, Any]) -> Feed:
    """The sample, the synthetic feed, or a file; `options` are the command's by name, None where they were left out.

    Raises SourceError for an option that is not this feed's, and as the feeds themselves do.
    """
    kind = {SAMPLE: "the sample", SYNTHETIC: "the synthetic feed"}.get(feed, "a file")
    given = {name: value for name, value in options.items() if value is not None}
    if foreign := [f"--{name}" for name in given if name not in _OPTIONS[kind]]:
        raise SourceError(f"{', '.join(foreign)} cannot be said of {kind}: `tickhouse replay --help` tells what is whose")
    if feed == SAMPLE:
        return TableFeed(read_sample())
    if feed == SYNTHETIC:
        return _synthetic(given)
    mapping = parse_mapping(given.pop("map")) if "map" in given else None
    return open_file(Path(feed), FileOptions(mapping=mapping, **given))


def _synthetic(given: dict[str, Any]) -> SyntheticFeed:
    if "bars" in given and "days" in given:
        raise SourceError("--bars and --days say the same thing: give one of them")
    if "start" in given:
        given["start"] = given["start"].replace(tzinfo=UTC)
    if "bars" not in given:
        given["bars"] = bars_in(given.pop("days", 1), given.get("interval", SyntheticFeed.interval))
    return SyntheticFeed(**given)


def replay_with_progress(settings: Settings, feed: Feed, *, restart: bool = False) -> None:
    """Replay until done or told to end, showing progress, with a closing line. With `producer.resume` it goes on where an
    earlier one stopped, unless it is to `restart`.

    Raises UndeliveredError when Kafka refused messages.
    """
    description, is_steady = f"to topic {settings.kafka.topic}", settings.producer.speed is None
    with stop_on_signals() as stop, showing_progress(Console(stderr=True), description, is_steady=is_steady) as show:
        if settings.producer.resume:
            report = resume_replay(settings, feed, on_progress=show, stop=stop, restart=restart)
        else:
            report = replay(settings, feed, on_progress=show, stop=stop)
    Console().print(closing_line(report, settings.kafka.topic), soft_wrap=True)
    if report.failed:
        raise UndeliveredError(f"{report.failed:,} of {report.produced:,} messages were not delivered: {report.first_error}")


def closing_line(report: ReplayReport, topic: str) -> str:
    """What a replay has done, in a line."""
    if report.resumed_at and not report.produced:
        return f"nothing to send: all {report.resumed_at:,} bars are in {topic} already; --restart sends them again"
    rate = report.delivered / report.seconds if report.seconds else 0
    after = f", after {report.resumed_at:,} before" if report.resumed_at else ""
    return f"{report.delivered:,} bars delivered to {topic} in {report.seconds:.1f} s ({rate:,.0f}/s){after}"
