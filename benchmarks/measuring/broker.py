"""A real broker of the benchmark's own, with topics full of bars, on the disk that the project lies on."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.folder import open_folder
from ingestion.broker import KafkaBroker
from ingestion.producer import replay
from ingestion.sources.synthetic import SyntheticFeed
from tickhouse.settings import (
    IngestorSettings,
    KafkaSettings,
    LoggingSettings,
    MetricsSettings,
    ProducerSettings,
    Settings,
    StorageSettings,
)

PARTITIONS = 3
SYMBOLS = 500


@dataclass(frozen=True)
class Bench:
    """Where a benchmark works: a broker at `bootstrap_servers`, and a folder that is removed afterwards."""

    bootstrap_servers: str
    folder: Path

    def settings(self, topic: str, data_dir: Path, **ingestor: float) -> Settings:
        """The defaults, whatever tickhouse.yaml and the environment say, for a topic of this broker and a group of its own."""
        kafka = KafkaSettings(bootstrap_servers=self.bootstrap_servers, topic=topic, partitions=PARTITIONS, group=data_dir.name)
        return Settings(
            data_dir=data_dir,
            kafka=kafka,
            producer=ProducerSettings(),
            ingestor=IngestorSettings.model_validate(ingestor),
            storage=StorageSettings(),
            metrics=MetricsSettings(),
            logging=LoggingSettings(format="json"),
        )

    def fill(self, messages: int) -> str:
        """Make a topic with so many seeded one-minute bars, sent by our own producer, and return its name."""
        topic = f"bars-{messages}"
        settings = self.settings(topic, self.folder / topic)
        feed = SyntheticFeed(symbols=SYMBOLS, interval="1m", bars=math.ceil(messages / SYMBOLS))
        limited = settings.model_copy(update={"producer": ProducerSettings(max_messages=messages)})
        report = replay(limited, feed)
        if report.delivered != messages:
            raise RuntimeError(f"{report.failed} of {messages} messages were not delivered: {report.first_error}")
        return topic

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """An empty folder whose name is nobody else's, gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)


@contextmanager
def open_bench() -> Iterator[Bench]:
    """A started broker and its folder; both are gone afterwards."""
    with open_folder() as folder, KafkaBroker(folder / "kafka") as broker:
        yield Bench(broker.bootstrap_servers, folder)
