"""A million messages of every kind, landed and read back: each is a bar, equal to the bit, or a dead letter, byte for byte.

Each is parsed once more in memory that ends where it ends: a read too far ends the process.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import structlog
from fuzz_landing import FuzzedLake
from fuzz_messages import FuzzedMessage, fuzzed_messages
from guarded_memory import GuardedMemory

from ingestion.decode.fast import parse

LARGEST_BATCH = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=Random().getrandbits(32), help="of an earlier run, to see it again")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(f"{options.messages:,} messages, seed {options.seed}", flush=True)
    messages, sizes = fuzzed_messages(options.seed, options.messages), Random(options.seed)
    bars = letters = 0
    with tempfile.TemporaryDirectory() as folder:
        lake, memory = FuzzedLake(Path(folder)), GuardedMemory()
        while batch := list(islice(messages, sizes.randint(1, LARGEST_BATCH))):
            parse_at_the_edge(memory, batch)
            landed, rejected = lake.land(batch)
            bars, letters = bars + landed, letters + rejected
    assert bars + letters == options.messages
    print(f"{bars:,} landed + {letters:,} dead letters = {options.messages:,} messages")


def parse_at_the_edge(memory: GuardedMemory, batch: list[FuzzedMessage]) -> None:
    for message in batch:
        if message.value is not None:
            parse(memory.put(message.value), np.zeros(1, np.int64), np.array([len(message.value)]))


if __name__ == "__main__":
    main()
