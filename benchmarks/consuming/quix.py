"""What a user would pick from PyPI: quixstreams with its Parquet file sink, as it comes; run in an environment of its own."""

from __future__ import annotations

import os
import uuid
from typing import Any

from quixstreams import Application
from quixstreams.sinks import SinkBatch
from quixstreams.sinks.community.file.local import LocalFileSink

from benchmarks.consuming.task import Task
from benchmarks.measuring.meter import Meter


class MeteredSink(LocalFileSink):
    """Starts the meter with the first message and stops it with the last file."""

    def __init__(self, messages: int, meter: Meter) -> None:
        super().__init__(directory="lake", format="parquet")
        self._missing = messages
        self._meter = meter
        self.add = self._add_first  # type: ignore[method-assign]

    def _add_first(self, *message: Any, **more: Any) -> None:
        self._meter.start()
        del self.add  # from the second message on there is nothing between the sink and its caller
        self.add(*message, **more)

    def write(self, batch: SinkBatch) -> None:
        super().write(batch)
        self._missing -= batch.size
        if self._missing == 0:
            self._meter.stop()


def consume(task: Task, meter: Meter) -> None:
    os.chdir(task.folder)  # it refuses a folder whose path holds a hyphen
    app = Application(task.bootstrap_servers, consumer_group=uuid.uuid4().hex, auto_offset_reset="earliest", loglevel="WARNING")
    app.dataframe(app.topic(task.topic)).sink(MeteredSink(task.messages, meter))
    app.run(count=task.messages, collect=False)


if __name__ == "__main__":
    task, meter = Task.from_arguments(), Meter()
    consume(task, meter)
    meter.answer(task.messages)
