"""What an ingestor counts, and where it stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingestion.chain.slot import SlotFooter

Awaited = Literal["storage", "kafka"]
"""What an ingestor may have to ask again."""

EndOf = Callable[[int], int | None]
"""Partition → the offset after its last message in Kafka; None where that is not known."""

_ROWS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_BYTES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class IngestorMetrics:
    """The counters of one ingestor of one topic, in a registry of their own, and the facts that tell whether it is well.

    It is told once per batch, landing and rebalance, never once per message, and knows neither Kafka nor HTTP. Its methods
    may be called from any thread. `clock` is monotonic, in seconds.
    """

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self.is_storage_probed = False
        self._topic = topic
        self._clock = clock
        self._turned_at = clock()
        self._partitions: frozenset[int] | None = None
        self._next_offsets: dict[int, int] = {}
        self._landed_at: dict[int, float] = {}
        self._end_of: EndOf | None = None
        self._reading_ends = threading.Lock()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"tickhouse_ingestor_{name}", meaning, labels, registry=self.registry)

        def histogram(name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"tickhouse_ingestor_{name}", meaning, ("topic",), registry=self.registry, buckets=buckets)

        place = ("topic", "partition")
        self._messages = counter("messages", "Messages taken from Kafka.", *place)
        self._bytes = counter("bytes", "Bytes of these messages: keys, values and headers.", *place)
        self._slots = counter("slots", "Slots put at the end of a chain.", *place)
        self._rows = counter("rows", "Bars landed.", *place)
        self._dead_letters = counter(
            "dead_letters", "Messages landed as dead letters, by the stage they fell out at.", "topic", "stage"
        )
        self._taken = counter("taken_slots", "Slots that another ingestor had put first.", *place)
        self._retries = counter("retries", "Questions asked again after a failure, of the storage or of Kafka.", "of")
        self._rebalances = counter("rebalances", "Partitions assigned, revoked, or lost in silence.", "kind")
        self._flush_rows = histogram("flush_rows", "Bars in a slot.", _ROWS)
        self._flush_bytes = histogram("flush_bytes", "Bytes of the messages in a slot.", _BYTES)
        self._flush_seconds = histogram("flush_seconds", "Seconds from a batch that is due to its durable slot.", _SECONDS)
        for awaited in get_args(Awaited):
            self._retries.labels(awaited)
        Info("tickhouse_build", "What runs.", registry=self.registry).info(_build())
        self.registry.register(_Standing(self))
        ProcessCollector(registry=self.registry)

    @property
    def topic(self) -> str:
        return self._topic

    @property
    def partitions(self) -> frozenset[int] | None:
        """The partitions this ingestor reads, none for a standby; None while it has no place in the group."""
        return self._partitions

    @property
    def seconds_since_turn(self) -> float:
        """How long ago the loop last turned; counted from the start until it first does."""
        return self._clock() - self._turned_at

    def turned(self) -> None:
        """The loop has come round: it is alive."""
        self._turned_at = self._clock()

    def storage_probed(self) -> None:
        """The storage keeps its promises."""
        self.is_storage_probed = True

    def reads_ends_from(self, end_of: EndOf | None) -> None:
        """Lag is told by `end_of`, which is asked at every scrape, from the scrape's thread, and must not wait.

        Nobody asks it any more once this was called with None: the client that it asks may then be closed.
        """
        with self._reading_ends:
            self._end_of = end_of

    def assigned(self, next_offsets: Mapping[int, int]) -> None:
        """The group gave these partitions, each with the offset its chain goes on at; none makes this a standby."""
        self._next_offsets = {**self._next_offsets, **next_offsets}
        self._partitions = (self._partitions or frozenset()) | frozenset(next_offsets)
        self._rebalances.labels("assigned").inc()

    def revoked(self, partitions: Iterable[int]) -> None:
        """The group took these partitions back; until it gives others this has no place in it."""
        self._leave(partitions, "revoked")

    def lost(self, partitions: Iterable[int]) -> None:
        """These partitions are another's by now: the group was out of reach for too long."""
        self._leave(partitions, "lost")

    def fetched(self, partition: int, messages: int, size: int) -> None:
        """So many messages of `size` bytes came from Kafka and are about to be landed."""
        self._messages.labels(self._topic, partition).inc(messages)
        self._bytes.labels(self._topic, partition).inc(size)

    def landed(self, partition: int, footer: SlotFooter, size: int, seconds: float, stages: Mapping[str, int]) -> None:
        """A slot with this footer is durable, `seconds` after it was begun.

        `size` is in bytes, of its messages; `stages` counts its dead letters by stage.
        """
        self._slots.labels(self._topic, partition).inc()
        self._rows.labels(self._topic, partition).inc(footer.rows)
        for stage, count in stages.items():
            self._dead_letters.labels(self._topic, stage).inc(count)
        self._flush_rows.labels(self._topic).observe(footer.rows)
        self._flush_bytes.labels(self._topic).observe(size)
        self._flush_seconds.labels(self._topic).observe(seconds)
        self._landed_at[partition] = self._clock()
        self._next_offsets[partition] = footer.next_offset

    def taken(self, partition: int, next_offset: int) -> None:
        """Another ingestor's slot stands there; the chain goes on at `next_offset`."""
        self._taken.labels(self._topic, partition).inc()
        self._next_offsets[partition] = next_offset

    def retrying(self, of: Awaited) -> None:
        """It failed, and will be asked again."""
        self._retries.labels(of).inc()

    def waiting(self, of: Awaited) -> None:
        """It failed, and the loop does nothing but ask it again: it is alive."""
        self.retrying(of)
        self.turned()

    def lags(self) -> dict[int, int]:
        """Partition → offsets that Kafka holds and the chain does not, where the end in Kafka is known."""
        with self._reading_ends:
            if self._end_of is None:
                return {}
            ends = {partition: self._end_of(partition) for partition in sorted(self._partitions or ())}
        starts = self._next_offsets
        return {each: max(0, end - starts[each]) for each, end in ends.items() if end is not None and each in starts}

    def ages(self) -> dict[int, float]:
        """Partition → seconds since this ingestor last landed a slot of it."""
        now = self._clock()
        return {each: now - at for each in sorted(self._partitions or ()) if (at := self._landed_at.get(each)) is not None}

    def _leave(self, partitions: Iterable[int], kind: Literal["revoked", "lost"]) -> None:
        self._partitions = (self._partitions or frozenset()) - frozenset(partitions) or None
        self._rebalances.labels(kind).inc()


@cache
def _build() -> dict[str, str]:
    return {"version": version("tickhouse"), "confluent_kafka": version("confluent-kafka"), "pyarrow": version("pyarrow")}


class _Standing(Collector):
    """What is true at the moment of a scrape, of the partitions that are assigned at that moment."""

    def __init__(self, metrics: IngestorMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        place = ("topic", "partition")
        lag = GaugeMetricFamily("tickhouse_ingestor_lag", "Offsets that Kafka holds and the chain does not.", labels=place)
        for partition, offsets in metrics.lags().items():
            lag.add_metric((metrics.topic, str(partition)), offsets)
        yield lag
        age = GaugeMetricFamily("tickhouse_ingestor_last_landing_age_seconds", "Seconds since a slot was landed.", labels=place)
        for partition, seconds in metrics.ages().items():
            age.add_metric((metrics.topic, str(partition)), seconds)
        yield age
        partitions = metrics.partitions
        yield _gauge("group_member", "Whether it has a place in the consumer group (1, or 0).", partitions is not None)
        yield _gauge("assigned_partitions", "Partitions it reads; 0 for a standby.", len(partitions or ()))
        yield _gauge("turn_age_seconds", "Seconds since its loop last came round.", metrics.seconds_since_turn)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tickhouse_ingestor_{name}", meaning, value=value)
