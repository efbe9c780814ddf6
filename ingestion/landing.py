"""Landing beside the fetching: sealed batches, one at a time of each partition, by a few threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from ingestion.lander import PartitionLander
from ingestion.metrics import IngestorMetrics
from ingestion.patience import StoppedError, patiently

THREADS = 2
"""Decoding and compressing let each other run: more than the cores left by fetching gain nothing."""


class Landing:
    """Lands batches again and again until the storage takes them, or they are given up.

    `check` is called after a batch was read and before it is landed; what it raises ends the landing. A batch that
    is given up loses nothing: whoever has the partition then reads it again.
    """

    def __init__(self, check: Callable[[], object], metrics: IngestorMetrics) -> None:
        self._check = check
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="landing")
        self._futures: dict[PartitionLander, Future[bool]] = {}
        self._given_up: dict[PartitionLander, threading.Event] = {}
        self._bytes: dict[PartitionLander, int] = {}

    @property
    def bytes(self) -> int:
        """Of messages that are being landed."""
        return sum(self._bytes.values())

    def is_busy(self, lander: PartitionLander) -> bool:
        """Whether a batch of it is being landed."""
        return lander in self._futures

    def begin(self, lander: PartitionLander) -> None:
        """Seal what the lander has buffered, and land it. It must not be busy."""
        batch, given_up = lander.seal(), threading.Event()
        self._bytes[lander], self._given_up[lander] = batch.messages.size, given_up
        self._metrics.fetched(lander.chain.partition, len(batch.messages), batch.messages.size)

        def land() -> None:
            self._check()
            lander.land(batch)

        def land_patiently() -> bool:
            try:
                patiently(land, given_up, on_retry=self._metrics.retrying)
            except StoppedError:
                return False
            return True

        self._futures[lander] = self._threads.submit(land_patiently)

    def finished(self, seconds: float = 0.0) -> list[PartitionLander]:
        """Those that have landed since the last call, waited for so long if there is none yet. Raises what landing raised."""
        done, _ = wait(self._futures.values(), seconds, return_when="FIRST_COMPLETED") if self._futures else (set(), None)
        landed = []
        for lander in [lander for lander, future in self._futures.items() if future in done]:
            self._bytes.pop(lander), self._given_up.pop(lander)
            if self._futures.pop(lander).result():
                landed.append(lander)
        return landed

    def give_up(self, landers: Iterable[PartitionLander]) -> None:
        """Let go of what these are landing, as soon as it fails once more."""
        for lander in landers:
            if lander in self._futures:
                self._given_up[lander].set()
                del self._futures[lander], self._given_up[lander], self._bytes[lander]

    def close(self) -> None:
        """Give up whatever is left, and end the threads."""
        self.give_up(list(self._futures))
        self._threads.shutdown(wait=True)
