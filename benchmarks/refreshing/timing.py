"""When bars were produced, landed, published and answered by the API, told by the files and by the API's own answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np

from ingestion.chain.walk import find_chains, read_rows, walk
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.snapshot.manifest import MANIFESTS, latest_number, manifest_key, read_manifest

LOOK_SECONDS = 0.05


@dataclass
class Answers:
    """When the API first answered from each snapshot, in epoch seconds."""

    first_at: dict[int, float] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        """The newest snapshot that it answered from; -1 before the first."""
        return max(self.first_at, default=-1)


@contextmanager
def asking(settings: Settings, symbol: str, interval: str) -> Iterator[Answers]:
    """Ask the API for the symbol's newest bar, twenty times a second, within the block."""
    answers, stop = Answers(), threading.Event()
    thread = threading.Thread(target=_ask, args=(settings, f"/indicators/{symbol}?interval={interval}&limit=1", answers, stop))
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def _ask(settings: Settings, path: str, answers: Answers, stop: threading.Event) -> None:
    connection = HTTPConnection(settings.api.host, settings.api.port, timeout=10)
    while not stop.wait(LOOK_SECONDS):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            connection.close()
            continue
        if snapshot := response.headers.get("X-Tickhouse-Snapshot"):
            answers.first_at.setdefault(int(snapshot), time.time())


@dataclass(frozen=True)
class Times:
    """Seconds, a value a bar."""

    landed_to_published: np.ndarray
    produced_to_answered: np.ndarray


def landed_at(slot: Path) -> float:
    """When the slot got its name, in epoch seconds: a link changes the status of the file that was written before."""
    return slot.stat().st_ctime


def published_end(settings: Settings) -> int:
    """The offset below which every bar of the one partition is published."""
    storage = open_storage(settings)
    number = latest_number(storage)
    return 0 if number is None else max(read_manifest(storage, number).watermark.values(), default=0)


def published_number(settings: Settings) -> int:
    """How many snapshots were published after the first."""
    return latest_number(open_storage(settings)) or 0


def landed_to_published(settings: Settings, from_offset: int) -> np.ndarray:
    """Seconds of each slot from that offset on that is published."""
    storage = open_storage(settings)
    (chain,) = find_chains(storage)
    covered = sorted(_published(settings, chain.path).items())
    waits = []
    for slot in walk(storage, chain, from_offset):
        try:
            _, published_at = _first_over(covered, slot.footer.next_offset)
        except LookupError:
            break
        waits.append(published_at - landed_at(storage.local_path(slot.key)))
    return np.array(waits)


def times_of(settings: Settings, answers: Answers, from_offset: int) -> Times:
    """Those of all bars from that offset on. Raises LookupError when one was not published, or its snapshot never asked."""
    storage = open_storage(settings)
    (chain,) = find_chains(storage)
    covered = sorted(_published(settings, chain.path).items())
    landed, answered = [], []
    for slot in walk(storage, chain, from_offset):
        begun = landed_at(storage.local_path(slot.key))
        number, published_at = _first_over(covered, slot.footer.next_offset)
        seen_at = min((at for asked, at in answers.first_at.items() if asked >= number), default=None)
        if seen_at is None:
            raise LookupError(f"the API never answered from snapshot {number}")
        produced = read_rows(storage, slot)["produced_at"].cast("int64").to_numpy() / 1e6
        landed += [published_at - begun] * len(produced)
        answered += list(seen_at - produced)
    return Times(np.array(landed), np.array(answered))


def _published(settings: Settings, chain: str) -> Mapping[int, tuple[int, float]]:
    storage = open_storage(settings)
    found = {}
    for number in map(manifest_number, storage.list_after(MANIFESTS)):
        watermark = read_manifest(storage, number).watermark
        found[number] = watermark.get(chain, 0), storage.local_path(manifest_key(number)).stat().st_ctime
    return found


def manifest_number(name: str) -> int:
    return int(name.partition(".")[0])


def _first_over(covered: list[tuple[int, tuple[int, float]]], end: int) -> tuple[int, float]:
    for number, (watermark, at) in covered:
        if watermark >= end:
            return number, at
    raise LookupError(f"no snapshot covers offset {end - 1}")
