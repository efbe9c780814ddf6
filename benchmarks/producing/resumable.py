"""Ours with `--resume`: in transactions, and with a digest of the file."""

from __future__ import annotations

from benchmarks.producing.work import Work, run
from ingestion.resumption import resume_replay
from ingestion.sources import open_file
from tickhouse.settings import load_settings


def produce(work: Work) -> int:
    settings = load_settings()
    return resume_replay(settings, open_file(work.file)).delivered


if __name__ == "__main__":
    run(produce)
