"""Memory-mapped series are the published rows: symbols of unequal length, nulls as nulls, copied once a file."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.marts import FCT_INDICATOR, FCT_INDICATOR_SCHEMA
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, PublishedFile, latest_manifest
from transform.snapshot.mapped import HOT_SCHEMA, CopyError, MappedFiles
from transform.snapshot.publish import NewMart, Publication, publish
from transform.snapshot.read import Snapshot, SnapshotReader

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
COLUMNS = ["symbol", "interval", *HOT_SCHEMA.names]

Bars = dict[tuple[str, str], list[float | None]]
"""The closes of each (symbol, interval), one a day."""


def table(bars: Bars, first_day: int = 0) -> pa.Table:
    rows = [
        {
            "symbol": symbol, "interval": interval, "ts": BEGIN + timedelta(days=first_day + day), "close": close,
            "sma_20": None if close is None else -close, "is_closed": True,
            "derived_from": "1m" if interval == "1h" else None,
        }
        for (symbol, interval), closes in sorted(bars.items())
        for day, close in enumerate(closes)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=FCT_INDICATOR_SCHEMA)


def publish_cells(storage: Storage, cells: list[tuple[Cell, pa.Table]], kept: tuple[PublishedFile, ...] = ()) -> Manifest:
    balance = Balance(landed=0, current=0, superseded=0, quarantined=0)
    marts = {FCT_INDICATOR: NewMart(cells, kept)}
    return publish(storage, Publication(latest_manifest(storage), 1, None, {}, balance, None, marts))


def asked_in_sql(snapshot: Snapshot, symbol: str, interval: str, start: datetime | None, until: datetime | None) -> pa.Table:
    where = "symbol = $1 and interval = $2 and ts >= coalesce($3, ts) and ts < coalesce($4, ts + interval 1 day)"
    sql = f"select {', '.join(COLUMNS)} from fct_indicator where {where} order by ts"
    return snapshot.query(sql, [symbol, interval, start, until])


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


SERIES = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B", "BRK/A", "Z", "Ü"]), st.sampled_from(["1d", "1h"])),
    st.lists(st.none() | st.floats(allow_nan=True), max_size=30),
    max_size=8,
)
DAYS = st.none() | st.integers(-2, 35).map(lambda day: BEGIN + timedelta(days=day))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bars=SERIES, cut=st.integers(0, 30), start=DAYS, until=DAYS, limit=st.integers(0, 40))
def test_a_series_is_what_sql_finds(
    bars: Bars, cut: int, start: datetime | None, until: datetime | None, limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    storage = open_storage(Settings(data_dir=folder, _env_file=None))
    old = table({key: closes[:cut] for key, closes in bars.items()})
    tail = table({key: closes[cut:] for key, closes in bars.items()}, cut)
    publish_cells(storage, [(Cell(0), old), (Cell(1), tail)])
    with SnapshotReader(storage, folder / "cache").pin() as snapshot:
        assert snapshot is not None
        for symbol, interval in {*bars, ("A", "1w"), ("NONE", "1d")}:
            found = snapshot.series(symbol, interval, start, until)
            expected = asked_in_sql(snapshot, symbol, interval, start, until)
            assert len(found) == expected.num_rows
            assert str(found.rows().to_pylist()) == str(expected.to_pylist()), "as text, for NaN is not NaN"
            assert str(found.newest(limit).to_pylist()) == str(expected.to_pylist()[-limit or len(expected) :])
            assert found.rows(3, limit).num_rows == max(min(limit, len(found) - 3), 0)
        for symbol, _interval in bars:
            assert snapshot.intervals(symbol) == {
                interval: (len(closes), len(closes) * (interval == "1h"))
                for (of, interval), closes in bars.items()
                if of == symbol and closes
            }


def test_only_the_files_that_are_new_are_copied(storage: Storage, tmp_path: Path) -> None:
    low, high = table({("A", "1d"): [1.0, None]}), table({("M", "1d"): [2.0]})
    halves = [(Cell(0, "", "M"), low), (Cell(0, "M"), high)]
    first = publish_cells(storage, [*halves, (Cell(1), table({("A", "1d"): [3.0]}, 2))])
    reader = SnapshotReader(storage, tmp_path / "cache")

    def closes(symbol: str) -> list[float | None]:
        with reader.pin() as snapshot:
            assert snapshot is not None
            return snapshot.series(symbol, "1d").rows()["close"].to_pylist()

    def copies() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.arrow")}

    assert closes("A") == [1.0, None, 3.0]
    before = copies()
    assert len(before) == 2, "what nobody has asked for is not copied"
    publish_cells(storage, [(Cell(1), table({("A", "1d"): [3.0, 4.0]}, 2))], first.marts[FCT_INDICATOR].files[:2])
    assert closes("A") == [1.0, None, 3.0, 4.0]
    after = copies()
    assert len(after) == 2, "the copy of the tail before is gone"
    assert len(before.items() & after.items()) == 1, "that of the file which stayed is the same"
    assert closes("M") == [2.0]


def test_an_earlier_snapshot_is_still_read_when_its_copies_are_gone(storage: Storage, tmp_path: Path) -> None:
    publish_cells(storage, [(Cell(0), table({("A", "1d"): [1.0]}))])
    reader = SnapshotReader(storage, tmp_path / "cache")
    with reader.pin() as earlier:
        assert earlier is not None
        assert len(earlier.series("A", "1d")) == 1
        publish_cells(storage, [(Cell(0), table({("A", "1d"): [1.0, 2.0]}))])
        with reader.pin() as newer, SnapshotReader(storage, tmp_path / "cache").pin(0) as again:
            assert newer is not None
            assert again is not None
            assert [len(snapshot.series("A", "1d")) for snapshot in (earlier, newer, again)] == [1, 2, 1]


def test_a_copy_that_was_cut_off_is_made_again(storage: Storage, tmp_path: Path) -> None:
    manifest = publish_cells(storage, [(Cell(0), table({("A", "1d"): [1.0]}))])
    file = manifest.marts[FCT_INDICATOR].files[0]
    MappedFiles(storage, tmp_path).open(file)
    copy = next(tmp_path.glob("*.arrow"))
    copy.write_bytes(copy.read_bytes()[:100])
    assert MappedFiles(storage, tmp_path).open(file).rows["close"].to_pylist() == [1.0]


def test_where_no_copy_can_be_made_duckdb_answers_the_same(storage: Storage, tmp_path: Path) -> None:
    publish_cells(storage, [(Cell(0), table({("A", "1d"): [1.0, None, 3.0], ("A", "1h"): [5.0], ("B", "1d"): [4.0]}))])
    (tmp_path / "file").write_text("a file, where the folder of copies should be")
    readers = SnapshotReader(storage, tmp_path / "file"), SnapshotReader(storage, tmp_path / "cache")
    with readers[0].pin() as without, readers[1].pin() as mapped:
        assert without is not None
        assert mapped is not None
        assert without.intervals("A") == mapped.intervals("A") == {"1d": (3, 0), "1h": (1, 1)}
        start = BEGIN + timedelta(days=1)
        assert without.series("A", "1d", start).rows() == mapped.series("A", "1d", start).rows()


def test_a_copy_that_cannot_be_made_is_not_tried_at_every_request(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = publish_cells(storage, [(Cell(0), table({("A", "1d"): [1.0]}))])
    file = manifest.marts[FCT_INDICATOR].files[0]
    folder = tmp_path / "copies"
    folder.write_text("a file, where the folder of copies should be")
    copies = MappedFiles(storage, folder)
    with capture_logs() as told:
        for _ in range(3):
            with pytest.raises(CopyError):
                copies.open(file)
    assert [line["log_level"] for line in told] == ["warning"]
    folder.unlink()
    monkeypatch.setattr(time, "monotonic", lambda: math.inf)
    assert copies.open(file).rows["close"].to_pylist() == [1.0], "when there is room again"
