"""The warehouse and a snapshot made anew from the lake alone, and held against what was published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickhouse.settings import Settings
from tickhouse.storage import ObjectMissingError, Storage, open_storage
from transform.build_lock import build_lock
from transform.dbt import DbtError
from transform.marts import MARTS
from transform.modelling import build_models, failure_text
from transform.publication import publish_warehouse
from transform.snapshot.content import content_hash
from transform.snapshot.manifest import Manifest, PublishedMart, latest_manifest
from transform.validation.run import validate_new_slots
from transform.warehouse import begin_build, finish_build

Tell = Callable[[str, int, int | None], object]
"""Told the stage (`models and tests, built`), how many are done, and of how many."""


@dataclass(frozen=True)
class RebuiltMart:
    """A mart of the lake's, and what was published of it for the same slots: rows and contents' hash, None where nothing was.

    `was_content` is None, too, where what was published cannot be read any more.
    """

    name: str
    rows: int
    content: str | None
    was_rows: int | None
    was_content: str | None

    @property
    def is_same(self) -> bool:
        """Whether nothing differs; a mart that the version which published did not have yet differs from nothing."""
        return self.was_rows is None or (self.rows, self.content) == (self.was_rows, self.was_content)


@dataclass(frozen=True)
class Rebuild:
    """What a rebuild came to: how many slots and bars of the lake, the snapshot before, the one published, and their marts."""

    slots: int
    landed_rows: int
    before: Manifest | None
    published: Manifest
    marts: list[RebuiltMart]

    @property
    def is_same(self) -> bool:
        """Whether there was nothing to compare with, or nothing differs."""
        return self.before is None or all(mart.is_same for mart in self.marts)


def rebuild(settings: Settings, tell: Tell) -> Rebuild:
    """Make the warehouse anew from validated slots, let it take the old one's place, and publish it.

    It takes the slots that the newest snapshot covers, all of them where there is none, so that both can be compared; the next
    build takes what landed since. Slots whose validation record is lost are validated again. The old warehouse is not read, and
    serves until the new one is whole; builds wait meanwhile. Killed at any point, one of the two is there, and what was not
    published is published by the next build. Raises DbtError, and everything is as it was.
    """
    storage = open_storage(settings)
    validate_new_slots(settings, storage)  # a refused batch is none of a snapshot's, or is missed when it is compared
    with build_lock(settings):
        before = latest_manifest(storage)
        was = {} if before is None else {name: _content(storage, mart) for name, mart in before.marts.items()}
        with _beside(settings, storage) as new:
            build = begin_build(new, storage, None if before is None else before.watermark)
            failure = failure_text(build_models(new, on_node=lambda done, total: tell("models and tests, built", done, total)))
            if failure is not None:
                raise DbtError(failure)
            landed_rows = finish_build(new, build)
            _take_place(new, settings)
        published = publish_warehouse(settings, storage, _Rows(tell).add)
    marts = [_compared(name, published, before, was.get(name)) for name in MARTS]
    return Rebuild(build.new_slots, landed_rows, before, published, marts)


@contextmanager
def _beside(settings: Settings, storage: Storage) -> Iterator[Settings]:
    """Settings of the same lake with a warehouse of its own, in a folder that goes with the block, and went if one was left."""
    folder = settings.data_dir / "rebuild"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lake = settings.storage.model_copy(update={"path": settings.lake_path.absolute()})
    try:
        yield settings.model_copy(update={"data_dir": folder, "storage": lake})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_place(new: Settings, settings: Settings) -> None:
    """Let the new warehouse be the warehouse."""
    old = settings.warehouse_path
    old.with_name(f"{old.name}.wal").unlink(missing_ok=True)  # of a killed build: DuckDB would take it for the new one's
    os.replace(new.warehouse_path, old)
    os.replace(*(each.data_dir / "modelled.json" for each in (new, settings)))


class _Rows:
    """Counts rows as they are published."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._rows = tell, 0

    def add(self, rows: int) -> None:
        self._rows += rows
        self._tell("rows, published", self._rows, None)


def _compared(name: str, published: Manifest, before: Manifest | None, was_content: str | None) -> RebuiltMart:
    mart = published.marts[name]
    old = None if before is None else before.marts.get(name)
    return RebuiltMart(name, mart.rows, mart.content, None if old is None else old.rows, was_content)


def _content(storage: Storage, mart: PublishedMart) -> str | None:
    """The hash of a published mart's contents; read from its files where the version that published it made none."""
    if mart.content is not None:
        return mart.content
    try:
        return f"{sum(_file_content(storage.local_path(file.key)) for file in mart.files) % 2**64:016x}"
    except (ObjectMissingError, OSError, pa.ArrowException):
        return None


def _file_content(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        return sum(int(content_hash(pa.Table.from_batches([batch])), 16) for batch in file.iter_batches())
