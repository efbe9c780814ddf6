"""Rows at each stage, waits and offsets are told from what each stage left in the lake."""

from __future__ import annotations

import io
from datetime import timedelta

import pyarrow as pa
import pytest
from lake import BEGUN_AT, Lake, bar
from rich.console import Console

from apps.cli.demo.demo import DemoFailedError, check_account
from apps.cli.demo.feed import split_last_dates
from apps.cli.demo.report import quantile
from apps.cli.demo.stages import StageCounter, Stages, published_waits
from apps.cli.status_report import status_report
from ingestion.sources import SAMPLE_ROWS, read_sample
from tickhouse.settings import Settings
from transform.marts import FCT_ALERT, FCT_ALERT_SCHEMA
from transform.progress import ModelProgress, note_progress
from transform.snapshot.layout import Cell
from transform.snapshot.manifest import Balance, Manifest, latest_manifest
from transform.snapshot.publish import NewMart, Publication, publish
from transform.status import KafkaSide, read_status
from transform.validation.record import ValidationRecord, write_record


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = Lake(settings)
    lake.land([bar("AAPL", day, 100.0) for day in range(3)])
    lake.land([bar("AAPL", day, 100.0) for day in range(3, 5)])
    return lake


def validate(lake: Lake, position: int, rows: int, quarantined: int = 0) -> None:
    record = ValidationRecord(
        position=position,
        next_offset=position + rows,
        landed_rows=rows,
        quarantined_rows=quarantined,
        quarantine_key=None,
        rules="test",
        validated_at=BEGUN_AT,
    )
    write_record(lake.storage, lake.chain, record)


def publish_up_to(lake: Lake, end: int, *, quarantined: int = 0, alerts: int = 0) -> Manifest:
    balance = Balance(landed=end, current=end - quarantined - 1, superseded=1, quarantined=quarantined)
    mart = pa.Table.from_pylist([{"alert_id": str(number)} for number in range(alerts)], schema=FCT_ALERT_SCHEMA)
    parent, watermark = latest_manifest(lake.storage), {lake.chain.path: end}
    marts = {FCT_ALERT: NewMart(cells=[(Cell(0), mart)])}
    return publish(lake.storage, Publication(parent, 1, None, watermark, balance, BEGUN_AT, marts))


def test_before_anything_has_happened_every_stage_is_at_zero(settings: Settings) -> None:
    counter = StageCounter(settings, Lake(settings).storage)
    assert counter.look(produced=0) == Stages()
    assert counter.account.total == counter.account.snapshots == 0


def test_each_stage_is_counted_from_what_it_left(lake: Lake) -> None:
    counter = StageCounter(lake.settings, lake.storage)
    assert counter.look(produced=7) == Stages(produced=7, landed=5)
    validate(lake, 0, 3, quarantined=1)
    assert counter.look(produced=7) == Stages(produced=7, landed=5, validated=3)
    note_progress(lake.settings, ModelProgress(build_seq=1, landed_rows=3))
    assert counter.look(produced=7).modelled == 3
    publish_up_to(lake, 3, quarantined=1, alerts=2)
    assert counter.look(produced=7) == Stages(produced=7, landed=5, validated=3, modelled=3, published=3)
    account = counter.account
    assert (account.published, account.superseded, account.quarantined, account.alerts) == (1, 1, 1, 2)


def test_later_looks_add_what_came_since(lake: Lake) -> None:
    counter = StageCounter(lake.settings, lake.storage)
    counter.look(produced=5)
    lake.land([bar("MSFT", 0, 10.0)])
    validate(lake, 0, 3)
    validate(lake, 3, 2)
    assert counter.look(produced=6) == Stages(produced=6, landed=6, validated=5)


def test_every_bar_waits_from_its_own_production_to_the_first_snapshot_that_covers_it(lake: Lake) -> None:
    counter = StageCounter(lake.settings, lake.storage)
    first = publish_up_to(lake, 3)
    counter.look(produced=5)
    assert counter.waits == [(first.published_at - BEGUN_AT).total_seconds()] * 3
    second = publish_up_to(lake, 5)
    assert published_waits(lake.storage, first.watermark, second) == [(second.published_at - BEGUN_AT).total_seconds()] * 2
    counter.look(produced=5)
    assert len(counter.waits) == 5


def test_an_account_that_does_not_add_up_fails_the_demo_with_the_figures() -> None:
    whole = Stages(produced=10, landed=10, validated=10, modelled=10, published=10)
    check_account(whole, accounted=10, replayed=10)
    with pytest.raises(DemoFailedError, match="of 10 bars replayed, 10 were delivered, 10 landed, and 9 are published"):
        check_account(whole, accounted=9, replayed=10)
    with pytest.raises(DemoFailedError, match="11 landed"):
        check_account(Stages(10, 11, 11, 11, 11), accounted=10, replayed=10)


def test_the_live_part_is_the_last_trading_dates_and_nothing_is_left_out() -> None:
    history, live = split_last_dates(read_sample(), 252)
    assert history.num_rows + live.num_rows == SAMPLE_ROWS
    assert len(live["ts"].unique()) == 252
    assert max(history["ts"].to_pylist()) < min(live["ts"].to_pylist())
    assert split_last_dates(live, 0)[0].num_rows == live.num_rows
    assert split_last_dates(live, 10_000)[1].num_rows == live.num_rows


def test_a_quantile_is_a_value_that_occurred() -> None:
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0.01, 0.5, 0.95)] == [1.0, 2.0, 3.0]


def test_status_tells_each_partitions_way_and_what_is_left_of_it(lake: Lake) -> None:
    validate(lake, 0, 3)
    publish_up_to(lake, 3)
    (each,) = read_status(lake.storage, KafkaSide(lake.chain.topic_id, {0: 9})).partitions
    assert (each.broker_end, each.landed_end, each.lag, each.validated_end, each.published_end) == (9, 5, 4, 3, 3)


def test_status_tells_where_every_landed_bar_is(lake: Lake) -> None:
    manifest = publish_up_to(lake, 5, quarantined=1)
    report = text_of(status_report(read_status(lake.storage, KafkaSide()), manifest.published_at + timedelta(seconds=90)))
    assert "90 s ago" in report
    assert "Of 5 landed rows, 3 are current, 1 superseded by corrections, 1 in quarantine" in " ".join(report.split())


def text_of(renderable: object) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()
