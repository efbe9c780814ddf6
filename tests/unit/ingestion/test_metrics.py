"""An ingestor's metrics say what happened, and are asked for nothing per message."""

from __future__ import annotations

from prometheus_client import generate_latest

from ingestion.chain.slot import SlotFooter
from ingestion.metrics import IngestorMetrics


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def footer(position: int, next_offset: int, rows: int, dead_letters: int = 0) -> SlotFooter:
    return SlotFooter(position, next_offset, rows, dead_letters, None, "writer", 1, None, None, ())


def value(metrics: IngestorMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"tickhouse_ingestor_{name}", labels)


def test_what_was_fetched_is_counted_by_partition() -> None:
    metrics = IngestorMetrics("bars")
    metrics.fetched(2, 1_000, 177_000)
    metrics.fetched(2, 1, 177)
    assert value(metrics, "messages_total", topic="bars", partition="2") == 1_001
    assert value(metrics, "bytes_total", topic="bars", partition="2") == 177_177


def test_a_landing_is_counted_with_its_sizes_seconds_and_dead_letters() -> None:
    metrics = IngestorMetrics("bars")
    metrics.landed(0, footer(0, 60, 50, 3), 900, 0.04, {"json": 2, "values": 1})
    metrics.landed(0, footer(60, 61, 1), 700, 2.0, {})
    place = {"topic": "bars", "partition": "0"}
    assert value(metrics, "slots_total", **place) == 2
    assert value(metrics, "rows_total", **place) == 51
    assert value(metrics, "dead_letters_total", topic="bars", stage="json") == 2
    assert value(metrics, "dead_letters_total", topic="bars", stage="values") == 1
    assert value(metrics, "flush_rows_bucket", topic="bars", le="10.0") == 1
    assert value(metrics, "flush_bytes_sum", topic="bars") == 1_600
    assert value(metrics, "flush_seconds_bucket", topic="bars", le="0.05") == 1
    assert value(metrics, "flush_seconds_count", topic="bars") == 2


def test_lag_is_what_kafka_holds_above_the_landed_end_at_the_moment_of_asking() -> None:
    metrics = IngestorMetrics("bars")
    ends: dict[int, int | None] = {0: 10, 1: None}
    metrics.reads_ends_from(ends.get)
    metrics.assigned({0: 4, 1: 0})
    assert metrics.lags() == {0: 6}  # of partition 1 nothing was heard yet
    metrics.landed(0, footer(4, 9, 5), 900, 0.1, {})
    ends[0] = 12
    assert value(metrics, "lag", topic="bars", partition="0") == 3
    metrics.taken(0, 20)
    assert metrics.lags() == {0: 0}  # what is heard of Kafka may be older than what is landed


def test_the_age_of_the_last_landing_grows_until_the_next() -> None:
    clock = Clock()
    metrics = IngestorMetrics("bars", clock)
    metrics.assigned({0: 0})
    assert metrics.ages() == {}
    metrics.landed(0, footer(0, 5, 5), 900, 0.1, {})
    clock.now += 7
    assert value(metrics, "last_landing_age_seconds", topic="bars", partition="0") == 7


def test_partitions_that_are_gone_have_neither_lag_nor_age() -> None:
    metrics = IngestorMetrics("bars")
    metrics.reads_ends_from(lambda _partition: 10)
    metrics.assigned({0: 0, 1: 0})
    metrics.landed(0, footer(0, 5, 5), 900, 0.1, {})
    metrics.revoked([0])
    assert (metrics.lags(), metrics.ages()) == ({1: 10}, {})
    metrics.lost([1])
    assert metrics.partitions is None
    assert [value(metrics, "rebalances_total", kind=kind) for kind in ("assigned", "revoked", "lost")] == [1, 1, 1]


def test_a_standby_is_in_the_group_without_partitions() -> None:
    metrics = IngestorMetrics("bars")
    assert (metrics.partitions, value(metrics, "group_member")) == (None, 0)
    metrics.assigned({})
    assert (metrics.partitions, value(metrics, "group_member"), value(metrics, "assigned_partitions")) == (frozenset(), 1, 0)


def test_every_kind_of_retry_is_there_before_the_first() -> None:
    metrics = IngestorMetrics("bars")
    assert [value(metrics, "retries_total", of=of) for of in ("storage", "kafka")] == [0, 0]
    metrics.retrying("storage")
    assert value(metrics, "retries_total", of="storage") == 1


def test_two_ingestors_of_one_process_count_apart_and_say_what_they_are() -> None:
    one, other = IngestorMetrics("bars"), IngestorMetrics("bars")
    one.fetched(0, 5, 500)
    assert value(other, "messages_total", topic="bars", partition="0") is None
    text = generate_latest(other.registry).decode()
    assert 'tickhouse_build_info{confluent_kafka="' in text
    assert "process_resident_memory_bytes" in text
