from __future__ import annotations

from pathlib import Path

import numpy as np
from decode_oracle import check_decoding
from fuzz_landing import FuzzedLake
from fuzz_messages import OUR_HEADERS, VALID, FuzzedMessage, fuzzed_messages, in_batches
from guarded_memory import GuardedMemory

from ingestion.decode.fast import parse

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
GOOD = FuzzedMessage(VALID, b"AAPL", OUR_HEADERS)


def test_fifty_thousand_fuzzed_messages_are_what_careful_parsing_says_they_are() -> None:
    bars = sum(len(check_decoding(batch).indices) for batch in in_batches(fuzzed_messages(seed=1, count=50_000), 1_000))
    assert 5_000 < bars < 45_000


def test_fuzzed_messages_are_landed_or_dead_letters_each_once(tmp_path: Path) -> None:
    lake = FuzzedLake(tmp_path)
    counts = [lake.land(batch) for batch in in_batches(fuzzed_messages(seed=2, count=4_000), 1_300)]
    assert sum(bars + letters for bars, letters in counts) == 4_000
    assert all(bars and letters for bars, letters in counts)


def test_what_the_fuzzer_found_worth_keeping_is_decoded_as_careful_parsing_says() -> None:
    values = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    assert len(values) > 20
    messages = [FuzzedMessage(value, None, OUR_HEADERS) for value in values]
    check_decoding(messages)
    for message in messages:
        check_decoding([message])
        check_decoding([GOOD, message, message, GOOD])


def test_a_message_that_is_cut_short_is_not_read_beyond_its_end() -> None:
    memory = GuardedMemory()
    for end in range(len(VALID) + 1):
        columns = parse(memory.put(VALID[:end]), np.zeros(1, np.int64), np.array([end]))
        assert columns.is_parsed.tolist() == [end == len(VALID)]
