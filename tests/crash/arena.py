"""One round: a topic, a lake, the feed into it, the processes that are harmed, and what is weighed when all is over."""

from __future__ import annotations

import random
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from confluent_kafka import Consumer, TopicPartition
from crash.balance import Balance, weigh
from crash.disk import SmallDisk
from crash.feed import Feed, Produced
from crash.litter import Litter
from crash.points import Trap
from crash.workers import KILLED, SECONDS, Compactor, Ingestor, Worker, wait_until
from kafka_messages import consume_committed

from ingestion.broker import KafkaBroker
from ingestion.chain.compaction import ArchiveSize, compact
from ingestion.chain.walk import Slot, find_chains, walk
from ingestion.topic import ensure_topic
from tickhouse.settings import IngestorSettings, KafkaSettings, LoggingSettings, Settings, StorageSettings
from tickhouse.storage import open_storage


@dataclass
class Arena:
    """What a scenario acts on. The feed sends from entering to `settle`, which also weighs.

    `harm` counts what was done, by name.
    """

    name: str
    folder: Path
    chance: random.Random
    broker: KafkaBroker
    feed: Feed
    disk: SmallDisk | None = None
    harm: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.workers: list[Worker] = []
        self.settings = self._settings()
        self._groups = 0
        self._ends: dict[int, int] = {}
        self._block = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        ensure_topic(self.settings)
        self.litter = self._block.enter_context(Litter())
        self._block.callback(self._kill_all)
        self._sending = ExitStack()
        self._block.push(self._sending)
        chance = random.Random(self.chance.random())
        self.sent = self._sending.enter_context(self.feed.sending(self.settings, chance))
        return self

    def __exit__(self, *exception: object) -> None:
        self._block.close()

    def start(self, trap: Trap | None = None, group: str | None = None) -> Ingestor:
        """One more ingestor, of the round's group or another."""
        kafka = self.settings.kafka.model_copy(update={"group": group or self.settings.kafka.group})
        settings = self.settings.model_copy(update={"kafka": kafka})
        ingestor = Ingestor(settings, self.folder / f"{len(self.workers)}-ingestor.log", trap)
        self.workers.append(ingestor)
        return ingestor

    def start_compactor(self, trap: Trap | None = None) -> Compactor:
        compactor = Compactor(self.settings, self.folder / f"{len(self.workers)}-compactor.log", trap)
        self.workers.append(compactor)
        return compactor

    @property
    def alive(self) -> list[Worker]:
        """Those that have not ended; they may be frozen."""
        return [worker for worker in self.workers if worker.exit_code is None]

    def another_group(self) -> str:
        """A group that nobody is in yet: who joins it waits for no dead member, and knows no commit."""
        self._groups += 1
        return f"{self.settings.kafka.group}-{self._groups}"

    def kill(self, worker: Worker) -> None:
        """Kill it wherever it is; what lands from now on lands by others."""
        assert worker.exit_code is None, f"it ended by itself with {worker.exit_code}\n{worker.told()}"
        worker.kill()
        self.harm["at random"] += 1
        self.lay_litter()

    def wait_for_trap(self, worker: Worker) -> None:
        """Until the trap has killed it."""
        assert worker.trap is not None
        assert worker.wait() == KILLED, f"trap: {worker.trap}\n{worker.told()}"
        self.harm[worker.trap.point] += 1

    def wait_for_either(self, doomed: Ingestor, guest: Ingestor) -> None:
        """Until the one is dead or the other has got partitions."""
        wait_until(lambda: doomed.exit_code is not None or guest.has_told("partitions assigned"), self._told)

    def end(self, worker: Worker) -> None:
        """Have it end in order."""
        code = worker.end()
        assert code == 0, f"it ended with {code}\n{worker.told()}"

    def compact(self) -> None:
        """Compact whatever has landed."""
        compact(open_storage(self.settings), ArchiveSize(slots=self.chance.randint(1, 20), is_partial=True))
        self.harm["compacted"] += 1

    def wait_for_growth(self, slots: int = 1) -> None:
        """Until so many more slots have landed; litter is laid around the newest of each chain."""
        found = list[Slot]()

        def has_grown() -> bool:
            found.extend(self._new_slots())
            return len(found) >= slots

        wait_until(has_grown, lambda: f"{slots} more slots\n{self._told()}")
        self._scatter(found)

    def lay_litter(self) -> None:
        """Lay it around whatever has landed; growth is counted anew."""
        self._scatter(self._new_slots())

    def settle(self) -> Balance:
        """Send no more, land what is left, end every ingestor in order, and weigh."""
        self._sending.close()
        if not any(isinstance(worker, Ingestor) for worker in self.alive):
            self.start(group=self.chance.choice([None, self.another_group()]))
        with self._watermarks() as ends:
            wait_until(
                lambda: self._chain_ends() == ends(),
                lambda: f"chains to end at {ends()}, they do at {self._chain_ends()}\n{self._told()}",
            )
        for worker in self.alive:
            self.end(worker)
        balance = weigh(self.settings, self._counted())
        self.litter.assert_never_opened()
        return balance

    def sweep(self) -> None:
        """Leave nothing of a round that was well."""
        shutil.rmtree(self.folder)

    def _settings(self) -> Settings:
        topic = f"crash-{self.name}"
        kafka = KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers, topic=topic, group=topic, partitions=2)
        rows, seconds = self.chance.choice([50, 200, 1_000]), self.chance.choice([0.02, 0.05, 0.2])
        return Settings(
            data_dir=self.folder / "data",
            storage=StorageSettings(path=Path("lake") if self.disk is None else self.disk.path / "lake"),
            kafka=kafka,
            ingestor=IngestorSettings(flush_rows=rows, flush_seconds=seconds),
            logging=LoggingSettings(),
        )

    def _new_slots(self) -> Iterator[Slot]:
        """The slots that have landed since this was last asked, by workers of which none has ended in disorder."""
        for worker in self.workers:
            assert worker.exit_code in (None, 0, KILLED), f"{worker.pid} ended with {worker.exit_code}\n{worker.told()}"
        storage = open_storage(self.settings)
        for chain in find_chains(storage):
            for slot in walk(storage, chain, self._ends.get(chain.partition)):
                self._ends[chain.partition] = slot.footer.next_offset
                yield slot

    def _scatter(self, slots: Iterable[Slot]) -> None:
        for slot in {slot.chain.partition: slot for slot in slots}.values():
            self.litter.scatter(self.settings.lake_path, slot)

    def _chain_ends(self) -> dict[int, int]:
        deque(self._new_slots(), maxlen=0)
        return self._ends

    @contextmanager
    def _watermarks(self) -> Iterator[Callable[[], dict[int, int]]]:
        """What tells where the partitions end, open transactions and all: markers may come after the last answer."""
        kafka = self.settings.kafka
        places = [TopicPartition(kafka.topic, partition) for partition in range(kafka.partitions)]
        config = {"group.id": "asks-for-watermarks", "isolation.level": "read_uncommitted"}
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, **config})
        try:
            yield lambda: {
                place.partition: high
                for place in places
                if (high := consumer.get_watermark_offsets(place, timeout=SECONDS)[1]) > 0
            }
        finally:
            consumer.close()

    def _counted(self) -> list[Produced]:
        """What of the messages counts: those that no transaction took back.

        A broker that is killed between deciding a transaction's end and writing the markers forgets these (seen in the logs of
        Kafka 4.4.0: PrepareAbort, killed, CompleteAbort, no marker), and its messages share the fate of the producer's next
        transaction. What became of transactions Kafka itself is asked then.
        """
        if not self.harm["broker killed"]:
            return self.sent.plain + self.sent.committed
        shown = {(message.partition(), message.offset()) for message in consume_committed(self.settings)}
        transacted = self.sent.committed + self.sent.aborted
        return self.sent.plain + [each for each in transacted if (each.partition, each.offset) in shown]

    def _kill_all(self) -> None:
        for worker in self.alive:
            worker.kill()

    def _told(self) -> str:
        return "\n".join(worker.told() for worker in self.workers[-3:])
