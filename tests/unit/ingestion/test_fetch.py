"""The queue past `confluent_kafka`: only with the version that it was tried with."""

from __future__ import annotations

import confluent_kafka
import pytest

from ingestion.fetch import MessageQueue
from ingestion.librdkafka import UntriedClientError


def test_another_version_of_the_client_is_refused_before_its_memory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    monkeypatch.setattr(confluent_kafka, "version", lambda: "2.17.0")
    with pytest.raises(UntriedClientError, match=r"2\.17\.0.*requirements\.lock"):
        MessageQueue(consumer)
    consumer.close()


def test_a_queue_nothing_comes_to_has_no_runs() -> None:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    queue = MessageQueue(consumer)
    queue.attach("bars", 0)
    with queue.fetch(0.0) as runs:
        assert list(runs) == []
    queue.close()
    consumer.close()
