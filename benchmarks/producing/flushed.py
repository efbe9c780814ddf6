"""The careful-looking way: row by row, waiting for each message to arrive before the next one."""

from __future__ import annotations

from benchmarks.producing.rowwise import produce
from benchmarks.producing.work import run

if __name__ == "__main__":
    run(lambda work: produce(work, after_each=lambda producer: producer.flush()))
