"""Coverage-guided fuzzing of the decoder with atheris; the arguments are libFuzzer's.

The compiled parser runs as plain Python here, so that its branches guide the fuzzer and a read too far raises. `fuzz.land` meets
it compiled.
"""

from __future__ import annotations

import sys
import warnings
from random import Random

import atheris
import numpy as np
from guarded_memory import GuardedMemory, PlainReads
from numba import config

READS = PlainReads()
if not config.DISABLE_JIT:
    sys.exit("set NUMBA_DISABLE_JIT=1: no coverage is seen in compiled code")
READS.put_in()

with atheris.instrument_imports(include=["ingestion.decode", "json"]):
    from decode_oracle import check_decoding
    from fuzz_messages import OUR_HEADERS, VALID, FuzzedMessage, bend

    from ingestion.decode.fast import parse

MEMORY = GuardedMemory()
GOOD = FuzzedMessage(VALID, b"AAPL", OUR_HEADERS)
BENT_SHARE = 0.5


def check(value: bytes) -> None:
    """A message that is a batch's first, and after a good one, is what careful parsing says it is; nothing beyond it is read."""
    message = FuzzedMessage(value, None, OUR_HEADERS)
    check_decoding([message, GOOD, message])
    data = MEMORY.put(value)
    READS.stop_at(data.ctypes.data, len(value))
    parse(data, np.zeros(1, np.int64), np.array([len(value)]))


def mutate(value: bytes, max_size: int, seed: int) -> bytes:
    random = Random(seed)
    if random.random() < BENT_SHARE:
        return bend(value, random)[:max_size]
    return atheris.Mutate(value, max_size)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # 64-bit numbers wrap around on purpose, and numpy remarks upon it
    command = f"{sys.executable} -m fuzz.decode"  # which libFuzzer runs again to merge corpora
    atheris.Setup([command, *sys.argv[1:]], check, custom_mutator=mutate)
    atheris.Fuzz()
