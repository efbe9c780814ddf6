from __future__ import annotations

from typing import Any

from decode_oracle import bits_of, careful_word_on
from fuzz_landing import as_letter
from fuzz_messages import fuzzed_messages
from ingesting import Sender, dead_letters, ingesting, landed, quick, wait_until_landed, with_kafka

from ingestion.topic import ensure_topic
from tickhouse.settings import Settings

MESSAGES = 5_000


def test_whatever_a_topic_holds_is_landed_or_a_dead_letter_as_it_came(kafka_settings: Settings) -> None:
    """Null and empty keys and values, odd headers, bytes of any kind: through Kafka's client and the compiled copying."""
    settings = quick(with_kafka(kafka_settings, partitions=1))
    ensure_topic(settings)
    sent, sender = list(fuzzed_messages(seed=3, count=MESSAGES)), Sender(settings)
    with ingesting(settings):
        for message in sent:
            sender.send(message.value, message.key, message.headers)
        sender.flush()
        wait_until_landed(settings, MESSAGES)
    rows, letters = landed(settings), dead_letters(settings)
    assert rows.num_rows + len(letters) == MESSAGES
    found: dict[int, Any] = dict(zip(rows["offset"].to_pylist(), bits_of(rows), strict=True))
    found |= {letter["offset"]: as_letter(letter) for letter in letters}
    for offset, message in enumerate(sent):
        word, _ = careful_word_on(message)
        expected = (*word, message.key, message.value, list(message.headers or ())) if len(word) == 2 else word
        assert found[offset] == expected, f"{found[offset]} is not {expected}, of {message}"
