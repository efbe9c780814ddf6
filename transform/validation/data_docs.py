"""Great Expectations' Data Docs of what was validated lately, built outside the build: results of whole days, as its own pages.

Slots that were validated on one day (UTC) and follow each other are one run of the docs, up to `BATCH_ROWS` rows. They are
judged once more for it, so that the build which must be quick writes nothing for it.
"""

from __future__ import annotations

import fcntl
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.chain.slot import Chain
from ingestion.chain.walk import SlotReader, find_chains
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.validation.data_docs_index import NAME as FIRST_PAGE
from transform.validation.data_docs_index import RunPage, write_index
from transform.validation.judge import BATCH_ROWS, as_frame
from transform.validation.record import ValidationRecord, walk_records
from transform.validation.revalidation import RecordsInForce
from transform.validation.suite import batch_suite, fingerprint, row_suite

_SHOWN_VALUES = 20
"""Failing values that a page shows of a rule; `tickhouse quarantine list` has them all."""


@dataclass(frozen=True)
class DataDocs:
    """What building came to: the first page, how many runs were added, removed because they are too old, and left out.

    Those left out were judged by other rules, and nobody had them judged again: no suite is there to judge them by.
    """

    index: Path
    added: int
    removed: int
    left_out: int


@dataclass(frozen=True)
class _Run:
    """Slots that are documented together, and the name by which Great Expectations files the results."""

    chain: Chain
    position: int
    next_offset: int
    rules: str
    validated_at: datetime

    @property
    def name(self) -> str:
        return f"{self.prefix}{self.position}-{self.next_offset - 1}_{self.rules}"

    @property
    def prefix(self) -> str:
        return f"{self.chain.topic}_{self.chain.topic_id}_{self.chain.partition}_"


def site_folder(settings: Settings) -> Path:
    """The folder of the site; it has `FIRST_PAGE` once the docs were built."""
    return _root(settings) / "gx" / "uncommitted" / "data_docs" / "local_site"


def build_data_docs(
    settings: Settings, storage: Storage, on_rows: Callable[[int], object] | None = None, *, now: datetime | None = None
) -> DataDocs:
    """Add what was validated since the last time, remove what is older than `validation.docs_retention_days`.

    `on_rows` is told how many rows were judged by now. Work follows what is new; after a rule has changed, what is kept.
    Of two at once the second waits. Memory: one batch.
    """
    now = datetime.now(UTC) if now is None else now
    rules, rows = fingerprint(batch_suite(), row_suite()), 0
    since = now - timedelta(days=settings.validation.docs_retention_days)
    with _locked(settings) as root:
        site, reader = _Site(root), SlotReader(storage)
        removed = site.remove(lambda _name, at: at < since)
        left_out = 0
        for chain in find_chains(storage):
            for run, records in _runs(storage, chain, site.newest(chain, rules), since):
                if run.rules != rules:
                    left_out += 1
                elif not site.has(run):
                    tables = [reader.read(chain, record.position, record.next_offset) for record in records]
                    site.remove_overlapping(run)
                    rows += site.add(run, pa.concat_tables(tables))
                    if on_rows is not None:
                        on_rows(rows)
        site.write()
        return DataDocs(site_folder(settings) / FIRST_PAGE, site.added, removed, left_out)


def _root(settings: Settings) -> Path:
    return settings.data_dir / "data_docs"


@contextmanager
def _locked(settings: Settings) -> Iterator[Path]:
    root = _root(settings)
    root.mkdir(parents=True, exist_ok=True)
    with (root / "build.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield root


def _runs(storage: Storage, chain: Chain, position: int | None, since: datetime) -> Iterator[tuple[_Run, list[ValidationRecord]]]:
    """What is to be documented of a chain, from the slot at `position` on (its genesis when None), in its order."""
    in_force = RecordsInForce(storage, chain)
    records: list[ValidationRecord] = []
    key: tuple[Any, ...] = ()
    for record in walk_records(storage, chain, position):
        own = (record.validated_at.date(), in_force.rules_of(record))
        if records and (own != key or sum(each.landed_rows for each in records) + record.landed_rows > BATCH_ROWS):
            yield _run(chain, key[1], records), records
            records = []
        key = own
        if record.validated_at >= since and record.landed_rows:
            records.append(record)
    if records:
        yield _run(chain, key[1], records), records


def _run(chain: Chain, rules: str, records: list[ValidationRecord]) -> _Run:
    return _Run(chain, records[0].position, records[-1].next_offset, rules, records[-1].validated_at)


class _Site:
    """Great Expectations' stores and pages below a folder. A result and its page lie under the suite, the run and its time."""

    def __init__(self, root: Path) -> None:
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        home = root / "gx"
        self._stores = [home / "uncommitted" / "validations", home / "uncommitted" / "data_docs" / "local_site" / "validations"]
        for folder in ("validation_definitions", "expectations"):
            shutil.rmtree(home / folder, ignore_errors=True)
        for file in ("great_expectations.yml", "uncommitted/config_variables.yml"):
            (home / file).unlink(missing_ok=True)
        self._context = gx.get_context(mode="file", project_root_dir=root)
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = self._context.data_sources.add_pandas("lake").add_dataframe_asset("landed_bars")
        batch = asset.add_batch_definition_whole_dataframe("batch")
        suites = [self._context.suites.add(suite) for suite in (batch_suite(), row_suite())]
        self._definitions = [
            self._context.validation_definitions.add(gx.ValidationDefinition(name=suite.name, data=batch, suite=suite))
            for suite in suites
        ]
        self._added: set[str] = set()
        self._is_less = False

    @property
    def added(self) -> int:
        """How many runs."""
        return len(self._added)

    def newest(self, chain: Chain, rules: str) -> int | None:
        """The first offset of the chain's newest run; None where there is none, or rules have changed since."""
        prefix = f"{chain.topic}_{chain.topic_id}_{chain.partition}_"
        names = [name.removeprefix(prefix) for name, _at in self._documented() if name.startswith(prefix)]
        if not names or any(not name.endswith(f"_{rules}") for name in names):
            return None
        return max(map(_span, names))[0]

    def add(self, run: _Run, rows: pa.Table) -> int:
        """Judge the rows and keep what came out; how many rows they are."""
        from great_expectations.core.run_identifier import RunIdentifier

        identifier = RunIdentifier(run_name=run.name, run_time=run.validated_at)
        for definition in self._definitions:
            shown = {"result_format": "SUMMARY", "partial_unexpected_count": _SHOWN_VALUES}
            definition.run(batch_parameters={"dataframe": as_frame(rows)}, result_format=shown, run_id=identifier)
        self._added.add(run.name)
        return rows.num_rows

    def has(self, run: _Run) -> bool:
        """Whether the same slots are documented by the same rules."""
        return any(name == run.name for name, _at in self._documented())

    def remove_overlapping(self, run: _Run) -> None:
        """Remove the run as it was before it grew, and those that had its slots apart before a rule changed."""

        def overlaps(name: str, _at: datetime) -> bool:
            if not name.startswith(run.prefix):
                return False
            first, last = _span(name.removeprefix(run.prefix))
            return first < run.next_offset and run.position <= last

        self.remove(overlaps)

    def remove(self, is_removed: Callable[[str, datetime], bool]) -> int:
        """Remove runs by name and time, results and pages; how many."""
        gone = {name for name, at in self._stored() if is_removed(name, _time(at))}
        self._is_less |= bool(gone)
        for store in self._stores:
            for suite in store.glob("*"):
                for name in gone:
                    shutil.rmtree(suite / name, ignore_errors=True)
        return len(gone)

    def write(self) -> None:
        """Write the pages of what was added and the indexes of all; where there is none yet, every page."""
        site = self._stores[1].parent
        if not (site / FIRST_PAGE).is_file():
            self._context.build_data_docs()
        elif self._added or self._is_less:
            keys: list[Any] = self._context.validation_results_store.list_keys()
            shown = {path.parent.parent.name for path in self._stores[1].glob("*/*/*/*.html")}
            self._context.build_data_docs(resource_identifiers=[key for key in keys if key.run_id.run_name not in shown])
        else:
            return
        write_index(site, [self._page(name) for name, _at in self._documented()])

    def _page(self, name: str) -> RunPage:
        results = tuple(sorted(self._stores[0].glob(f"*/{name}/*/*.json")))
        pages = (path.relative_to(self._stores[0]).with_suffix(".html") for path in results)
        (at,) = {path.parent.name for path in results}
        rest, offsets, _rules = name.rsplit("_", 2)
        incarnation, partition = rest.rsplit("_", 1)
        return RunPage(
            validated_until=f"{_time(at):%Y-%m-%d %H:%M:%S}",
            topic=incarnation,
            partition=partition,
            offsets=offsets.replace("-", " – "),
            results=results,
            pages=tuple(f"validations/{page}" for page in pages),
        )

    def _documented(self) -> list[tuple[str, datetime]]:
        """Name and time of every run that is kept; one that a kill left half done is not."""
        return [(name, _time(at)) for (name, at), suites in self._stored().items() if suites == len(self._definitions)]

    def _stored(self) -> Counter[tuple[str, str]]:
        """How many suites' results there are of each run, by its name and the folder of its time."""
        return Counter((path.parent.name, path.name) for path in self._stores[0].glob("*/*/*"))


def _span(name: str) -> tuple[int, int]:
    """The first and the last offset of a run, from its name without the chain's."""
    first, last = name.partition("_")[0].split("-")
    return int(first), int(last)


def _time(folder: str) -> datetime:
    """The time that Great Expectations names a folder after."""
    return datetime.strptime(folder, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
