"""What is published bit by bit holds what a full export does; what a killed publication left, the next one makes good."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform import changed_cells
from transform.marts import DIM_INSTRUMENT, FCT_ALERT, FCT_DATA_QUALITY, FCT_INDICATOR, MARTS
from transform.publication import BuildUnfinishedError, publish_warehouse
from transform.snapshot import layout
from transform.snapshot.content import content_hash
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, data_folder, latest_manifest, manifest_key
from transform.snapshot.publish import NewMart, Publication, publish
from transform.snapshot.read import SnapshotReader
from transform.snapshot.retention import remove_expired
from transform.warehouse import begin_build, finish_build, open_warehouse

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
SYMBOLS = [f"S{number:02d}" for number in range(12)]
STEPS = 30


@pytest.fixture(autouse=True)
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (layout, changed_cells):
        monkeypatch.setattr(module, "CELL_ROWS", 40)
        monkeypatch.setattr(module, "TAIL_ROWS", 50)


class Marts:
    """A warehouse whose marts are plain tables, changed as builds do: every changed row carries the build's number."""

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        self.settings = settings
        self.storage = open_storage(settings)
        self._random = rng
        self._ends = dict.fromkeys([(symbol, "1d") for symbol in SYMBOLS[:4]], 0)
        begin_build(settings, self.storage)
        with open_warehouse(settings) as connection:
            for name, schema in MARTS.items():
                connection.from_arrow(schema.empty_table()).create(name)
            connection.execute("create table int_indicator as select symbol, interval, ts, change_seq from fct_indicator")
            for counted in ("stg_bar", "int_landed_bar"):
                connection.execute(f"create view {counted} as select symbol, interval, ts, ts as produced_at from int_indicator")
            connection.execute("insert into dim_instrument (symbol, name) values ('S00', 'The first'), ('S01', 'The second')")

    def build(self, *, finishes: bool = True) -> None:
        """New bars, a correction with all that follows from it, a new symbol or interval, alerts that come and go."""
        build = begin_build(self.settings, self.storage)
        if len(self._ends) < 2 * len(SYMBOLS) and self._random.random() < 0.4:
            self._ends.setdefault((self._random.choice(SYMBOLS), self._random.choice(["1d", "1h"])), 0)
        with open_warehouse(self.settings) as connection:
            for (symbol, interval), end in list(self._ends.items()):
                if self._random.random() < 0.6:
                    since, until = end, end + self._random.choice((1, 1, 1, 9))
                    if self._random.random() < 0.05:
                        since = self._random.randrange(end + 1)
                    self._compute(connection, symbol, interval, since, until, build.build_seq)
                    self._ends[symbol, interval] = max(until, end)
        if finishes:
            finish_build(self.settings, build)

    def _compute(
        self, connection: duckdb.DuckDBPyConnection, symbol: str, interval: str, since: int, until: int, build_seq: int
    ) -> None:
        step = timedelta(days=1) if interval == "1d" else timedelta(hours=1)
        rows: list[dict[str, Any]] = [
            {"symbol": symbol, "interval": interval, "ts": BEGIN + number * step, "change_seq": build_seq}
            for number in range(since, max(until, self._ends[symbol, interval]))
        ]
        bars = [{**row, "close": self._random.random(), "is_closed": True} for row in rows]
        alerts = [{**row, "rule": "r", "alert_id": f"{row['ts']}"} for row in rows if self._random.random() < 0.2]
        where = "symbol = ? and interval = ? and ts >= ?"
        for name, changed in ((FCT_INDICATOR, bars), (FCT_ALERT, alerts), ("int_indicator", rows)):
            connection.execute(f"delete from {name} where {where}", [symbol, interval, BEGIN + since * step])
            self._insert(connection, name, changed)
        months = {(BEGIN + number * step).replace(day=1, hour=0) for number in range(since, until)}
        for month in months:
            counted = {"symbol": symbol, "interval": interval, "ts": month, "landed_rows": until, "change_seq": build_seq}
            connection.execute(
                f"delete from {FCT_DATA_QUALITY} where symbol = ? and interval = ? and ts = ?", [symbol, interval, month]
            )
            self._insert(connection, FCT_DATA_QUALITY, [counted])

    def _insert(self, connection: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.register("changed", pa.Table.from_pylist(rows, schema=MARTS.get(name)))
            connection.execute(f"insert into {name} by name from changed")
            connection.unregister("changed")

    def publish(self) -> Manifest:
        return publish_warehouse(self.settings, self.storage)


def assert_holds(manifest: Manifest, marts: Marts) -> None:
    """The manifest's hashes and what a reader is given are the warehouse's rows."""
    with SnapshotReader(marts.storage).pin() as snapshot:
        assert snapshot is not None
        assert snapshot.manifest == manifest
        for name, schema in MARTS.items():
            with open_warehouse(marts.settings) as connection:
                rows = connection.sql(f"from {name} order by all").to_arrow_table().cast(schema)
            assert (manifest.marts[name].rows, manifest.marts[name].content) == (rows.num_rows, content_hash(rows))
            assert snapshot.query(f"from {name} order by all").cast(schema) == rows


@pytest.mark.parametrize("seed", range(2))
def test_bit_by_bit_it_comes_to_what_the_warehouse_holds(settings: Settings, seed: int) -> None:
    marts = Marts(settings, random.Random(seed))
    kept = written = 0
    shapes = set()
    before: Manifest | None = None
    for number in range(STEPS):
        marts.build()
        manifest = marts.publish()
        files = manifest.marts[FCT_INDICATOR].files
        if before is not None:
            kept += len(set(files) & set(before.marts[FCT_INDICATOR].files))
            written += sum(file.rows for file in set(files) - set(before.marts[FCT_INDICATOR].files))
            assert manifest.marts[DIM_INSTRUMENT] == before.marts[DIM_INSTRUMENT]
        shapes.add((files[-1].era, len(files)))
        if number % 5 == 0:
            assert_holds(manifest, marts)
        before = manifest
    assert_holds(manifest, marts)
    assert max(era for era, _files in shapes) >= 2, "tails were cut, and eras became one"
    assert max(files for _era, files in shapes) >= 10
    assert kept > 2 * len(shapes)
    assert marts.publish() == manifest, "nothing is new"


def test_only_the_cells_with_changed_rows_are_written(settings: Settings) -> None:
    marts = Marts(settings, random.Random(7))
    for _ in range(STEPS):
        marts.build()
    before = marts.publish().marts[FCT_INDICATOR]
    build = begin_build(settings, marts.storage)
    with open_warehouse(settings) as connection:
        marts._compute(connection, "S01", "1d", 2, 3, build.build_seq)
    finish_build(settings, build)
    after = marts.publish().marts[FCT_INDICATOR]
    written = set(after.files) - set(before.files)
    assert 0 < len(written) < len(before.files) / 2
    assert all(file.may_hold("S01") for file in written)
    assert {(file.era, file.symbols_from) for file in after.files} == {(file.era, file.symbols_from) for file in before.files}


def test_a_warehouse_between_two_builds_is_not_published_and_the_next_build_makes_it_good(settings: Settings) -> None:
    marts = Marts(settings, random.Random(3))
    marts.build()
    first = marts.publish()
    marts.build(finishes=False)
    with pytest.raises(BuildUnfinishedError, match="tickhouse build"):
        marts.publish()
    assert latest_manifest(marts.storage) == first
    marts.build()
    assert_holds(marts.publish(), marts)


def test_another_warehouse_takes_nothing_for_published(settings: Settings, tmp_path: Path) -> None:
    marts = Marts(settings, random.Random(4))
    for _ in range(9):
        marts.build()
    first = marts.publish()
    settings.warehouse_path.unlink()
    anew = Marts(settings, random.Random(5))
    for _ in range(3):
        anew.build()
    second = anew.publish()
    assert_holds(second, anew)
    assert not set(second.marts[FCT_INDICATOR].files) & set(first.marts[FCT_INDICATOR].files)


class Killed(BaseException):
    """The process is no more."""


class DyingStorage:
    """`Storage` of a process that is killed at its `last`th call that changes something, before it or after."""

    def __init__(self, storage: Storage, last: int, *, after: bool) -> None:
        self._storage, self._left, self._after = storage, last, after

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._storage, name)
        return self._counted(called) if name in ("put_if_absent", "delete") else called

    def _counted(self, called: Any) -> Any:
        def call(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            result = called(*arguments)
            if self._left == 0:
                raise Killed
            return result

        return call


def next_publication(storage: Storage, build_seq: int) -> Publication:
    rows = {
        symbol: pa.Table.from_pylist([{"symbol": symbol, "change_seq": build_seq}], schema=MARTS[FCT_INDICATOR])
        for symbol in "AM"
    }
    cells = [(Cell(0, "", "M"), rows["A"]), (Cell(0, "M"), rows["M"])]
    alerts = [(Cell(0), pa.Table.from_pylist([{"symbol": "A", "change_seq": build_seq}], schema=MARTS[FCT_ALERT]))]
    marts = {FCT_INDICATOR: NewMart(cells), FCT_ALERT: NewMart(alerts)}
    balance = Balance(landed=0, current=0, superseded=0, quarantined=0)
    return Publication(latest_manifest(storage), build_seq, None, {}, balance, None, marts)


def seen(storage: Storage) -> set[int]:
    with SnapshotReader(storage).pin() as snapshot:
        assert snapshot is not None
        return set(
            snapshot.query("select change_seq from fct_indicator union all select change_seq from fct_alert")[
                "change_seq"
            ].to_pylist()
        )


@pytest.mark.parametrize(("last", "after"), [(last, after) for last in range(1, 5) for after in (False, True)])
def test_wherever_a_publication_is_killed_the_last_snapshot_is_whole_and_nothing_is_left_over(
    settings: Settings, last: int, after: bool
) -> None:
    storage = open_storage(settings)
    publish(storage, next_publication(storage, 1))
    with pytest.raises(Killed):
        publish(DyingStorage(storage, last, after=after), next_publication(storage, 2))
    is_published = (last, after) == (4, True)
    assert seen(storage) == {2 if is_published else 1}
    manifest = publish(storage, next_publication(storage, 3))
    assert manifest.number == (2 if is_published else 1)
    assert seen(storage) == {3}
    for name in (FCT_INDICATOR, FCT_ALERT):
        files = {f"{data_folder(name)}/{file}" for file in storage.list_after(data_folder(name))}
        kept = [latest_manifest(storage), *(manifest_of(storage, number) for number in range(manifest.number))]
        assert files == {file.key for each in kept if each is not None for file in each.marts[name].files}


class SweptStorage:
    """`Storage` beside which another process removes every snapshot that it may, before each put."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        remove_expired(self._storage, timedelta(0), datetime.now(UTC) + timedelta(days=1))
        return self._storage.put_if_absent(key, data)


def test_retention_takes_nothing_of_a_publication_in_progress(settings: Settings) -> None:
    storage = open_storage(settings)
    for build_seq in (1, 2):
        publish(storage, next_publication(storage, build_seq))
    before = latest_manifest(storage)
    assert before is not None
    kept = before.marts[FCT_INDICATOR].files[1:]
    cells = [(Cell(0, "", "M"), pa.Table.from_pylist([{"symbol": "A", "change_seq": 2}] * 3, schema=MARTS[FCT_INDICATOR]))]
    publication = replace(next_publication(storage, 3), marts={FCT_INDICATOR: NewMart(cells, kept)})
    manifest = publish(SweptStorage(storage), publication)
    assert storage.exists(manifest_key(before.number)) is True
    assert not storage.exists(manifest_key(0))
    assert all(storage.exists(file.key) for mart in manifest.marts.values() for file in mart.files)
    with SnapshotReader(storage).pin() as snapshot:
        assert snapshot is not None
        assert snapshot.query("select count(*) as n from fct_indicator").to_pylist() == [{"n": 4}]


def manifest_of(storage: Storage, number: int) -> Manifest:
    with SnapshotReader(storage).pin(number) as snapshot:
        assert snapshot is not None
        return snapshot.manifest


def test_rows_that_a_model_started_anew_leaves_out_are_published_no_more(settings: Settings) -> None:
    marts = Marts(settings, random.Random(5))
    for _ in range(5):
        marts.build()
    before = marts.publish().marts[FCT_DATA_QUALITY].rows
    build = begin_build(settings, marts.storage)
    with open_warehouse(settings) as connection:
        connection.execute(f"delete from {FCT_DATA_QUALITY} where symbol > 'S00'")
        connection.execute(f"update {FCT_DATA_QUALITY} set change_seq = ?", [build.build_seq])
    finish_build(settings, build)
    manifest = marts.publish()
    assert_holds(manifest, marts)
    assert 0 < manifest.marts[FCT_DATA_QUALITY].rows < before / 2
