"""Ours, as `tickhouse replay FILE` does it."""

from __future__ import annotations

from benchmarks.producing.work import Work, run
from ingestion.producer import replay
from ingestion.sources import open_file
from tickhouse.settings import load_settings


def produce(work: Work) -> int:
    settings = load_settings()
    return replay(settings, open_file(work.file)).delivered


if __name__ == "__main__":
    run(produce)
