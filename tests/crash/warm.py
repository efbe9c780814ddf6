"""Imported by the process that workers are forked from: what is compiled at its first use is compiled by then.

It holds a pipe open for as long as a worker lives, so it does not end by itself when a run of tests is killed.
"""

from __future__ import annotations

import numpy as np
import pandas  # noqa: F401 - pyarrow imports it at its first array
from crash.workers import die_with_parent
from ingesting import VERSION, bar_message

from ingestion.decode import decode
from ingestion.gather import gather
from ingestion.messages import Messages


def _decode_one() -> None:
    messages = Messages()
    messages.append(0, 0, b"AAPL", bar_message(0), VERSION)
    decode(messages)


def _gather_none() -> None:
    to, words = Messages(), np.zeros(4, np.uintp)
    columns = to.data, to.numbers, to.header_codes
    gather(words, words, 0, 0, 0, 1, 1, words.ctypes.data, *columns, to.rows, to.used)


die_with_parent()
_decode_one()
_gather_none()
