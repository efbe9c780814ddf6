"""A row that breaks a rule is kept apart with the rule's name; a slot without a record is never read."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from lake import Lake, bar

from ingestion.chain.walk import walk
from tickhouse.settings import Settings, ValidationSettings
from transform.build import ValidationBlockedError, model, run_build
from transform.build_lock import build_lock
from transform.snapshot.manifest import latest_manifest
from transform.snapshot.read import SnapshotReader
from transform.validation.record import record_key, walk_records
from transform.validation.refusal import read_refusal
from transform.warehouse import open_warehouse

BROKEN: dict[str, dict[str, Any]] = {
    "open_is_given": {"open": None},
    "volume_is_given": {"volume": None},
    "close_is_positive": {"close": 0.0, "low": 0.0},
    "adj_close_is_positive": {"adj_close": -1.0},
    "volume_is_not_negative": {"volume": -1.0},
    "high_is_not_below_low": {"high": 98.0, "low": 102.0},
    "open_is_not_above_high": {"open": 200.0},
    "open_is_not_below_low": {"open": 2.0},
    "close_is_not_above_high": {"close": 200.0},
    "close_is_not_below_low": {"close": 2.0},
    "interval_is_known": {"interval": "13d"},
    "ts_is_not_in_the_future": {"ts": pd.Timestamp("2030-01-01", tz="UTC")},
}


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    return Lake(build_settings)


def quarantined(lake: Lake) -> list[dict[str, Any]]:
    records = walk_records(lake.storage, lake.chain)
    keys = [record.quarantine_key for record in records if record.quarantine_key is not None]
    return [row for key in keys for row in pq.read_table(lake.storage.local_path(key), partitioning=None).to_pylist()]


def test_each_broken_rule_is_named_and_the_good_rows_go_on(lake: Lake) -> None:
    bad = [{**bar(rule, 0, 100.0), **broken} for rule, broken in BROKEN.items()]
    lake.land(bad + [bar("GOOD", day, 100.0) for day in range(3 * len(bad))])
    manifest = run_build(lake.settings.model_copy(update={"validation": ValidationSettings(max_quarantined_pct=50)})).manifest
    assert manifest.balance.quarantined == len(BROKEN)
    assert manifest.balance.landed == manifest.balance.current + manifest.balance.superseded + manifest.balance.quarantined
    reasons = {row["symbol"]: row["reasons"] for row in quarantined(lake)}
    assert reasons.keys() == BROKEN.keys()
    for rule in BROKEN:
        assert rule in reasons[rule]
    with SnapshotReader(lake.storage).pin() as snapshot:
        assert snapshot is not None
        assert snapshot.query("select distinct symbol from fct_indicator").to_pylist() == [{"symbol": "GOOD"}]


def test_too_many_broken_rows_block_the_batch_and_leave_what_was_published(lake: Lake) -> None:
    lake.land([bar("A", day, 100.0) for day in range(5)])
    run_build(lake.settings)
    lake.land([bar("A", day, 100.0, open=None) for day in range(5, 205)])
    with pytest.raises(ValidationBlockedError, match=r"200 of 200 rows \(100.0 %\)"):
        run_build(lake.settings)
    assert [record.position for record in walk_records(lake.storage, lake.chain)] == [0]
    refusal = read_refusal(lake.storage, lake.chain, 5)
    assert refusal is not None
    assert (refusal.position, refusal.failing_rows) == (5, 200)
    newest = latest_manifest(lake.storage)
    assert newest is not None
    assert (newest.number, newest.balance.landed) == (0, 5)


def test_a_slot_without_a_record_reaches_no_model_however_it_is_tried(lake: Lake) -> None:
    lake.land([bar("A", 0, 100.0)])
    lake.land([bar("HIDDEN", 0, 100.0)])
    lake.land([bar("B", 0, 100.0)])
    run_build(lake.settings)
    hidden = [slot.footer.position for slot in walk(lake.storage, lake.chain)][1]
    record = next(each for each in walk_records(lake.storage, lake.chain) if each.position == hidden)
    lake.storage.delete(record_key(lake.chain, hidden))
    forged = record.model_copy(update={"position": hidden + 7})
    assert lake.storage.put_if_absent(record_key(lake.chain, forged.position), forged.model_dump_json().encode())
    lake.settings.warehouse_path.unlink()
    with build_lock(lake.settings):
        for is_full_refresh in (False, True):
            model(lake.settings, lake.storage, is_full_refresh=is_full_refresh)
        with open_warehouse(lake.settings) as connection:
            symbols = connection.execute("select distinct symbol from stg_bar order by symbol").fetchall()
    assert symbols == [("A",)], "neither the slot without a record, nor what comes after it"
