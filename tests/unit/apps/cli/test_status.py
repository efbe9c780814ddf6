"""The status says at a glance how far each partition is, and plainly what holds it up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from lake import BEGUN_AT, Lake, bar
from market_snapshot import publish_bars, stock_bars, weekly_bars
from rich.console import Console

from apps.cli.demo.plan import demo_settings, held_folder
from apps.cli.status_report import seconds_text, status_json, status_report
from apps.cli.status_watch import report, show_status
from ingestion.loss import Loss, give_up
from tickhouse.settings import KafkaSettings, Settings
from tickhouse.storage.local import LocalStorage
from transform.status import KafkaSide, Status, read_kafka_side, read_status
from transform.validation.record import ValidationRecord, write_record
from transform.validation.refusal import Refusal, write_refusal

NOW = BEGUN_AT + timedelta(seconds=90)
TOPIC_ID = "incarnation-1"


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings)


def kafka(end: int, last_slot: int | None = None) -> KafkaSide:
    return KafkaSide(TOPIC_ID, {0: end}, {} if last_slot is None else {0: last_slot})


def text_of(status: Status, hint: str | None = None) -> str:
    console = Console(width=500, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(status_report(status, NOW, hint))
    return captured.get()


def land_bars(lake: Lake, slots: int, rows: int = 2) -> None:
    for number in range(slots):
        lake.land([bar("A", number * rows + row, 1.0) for row in range(rows)])


def validate(lake: Lake, position: int, next_offset: int) -> None:
    record = ValidationRecord(
        position=position,
        next_offset=next_offset,
        landed_rows=next_offset - position,
        quarantined_rows=0,
        quarantine_key=None,
        rules="",
        validated_at=NOW,
    )
    write_record(lake.storage, lake.chain, record)


def test_lag_last_slot_and_its_age_are_told_by_partition(lake: Lake) -> None:
    land_bars(lake, 2)
    lake.land([bar("A", 9, 1.0, kafka_timestamp=pd.Timestamp(NOW - timedelta(seconds=5)))])
    validate(lake, 0, 2)
    [partition] = read_status(lake.storage, kafka(end=9)).partitions
    assert (partition.landed_end, partition.lag, partition.validated_end, partition.published_end) == (5, 4, 2, 0)
    assert partition.last_slot is not None
    assert (partition.last_slot.footer.position, partition.last_slot.age(NOW)) == (4, timedelta(seconds=5))
    line = next(line for line in text_of(read_status(lake.storage, kafka(end=9))).splitlines() if "bars / 0" in line)
    assert line.split() == ["bars", "/", "0", "9", "5", "4", "1", "5.0", "s", "2", "0"]


def test_slots_without_bars_hide_neither_the_last_that_has_some_nor_its_age(lake: Lake) -> None:
    lake.land([bar("A", 1, 1.0, kafka_timestamp=pd.Timestamp(NOW - timedelta(seconds=5)))])
    for _ in range(3):
        lake.pass_over(1)
    [partition] = read_status(lake.storage, kafka(end=4, last_slot=3)).partitions
    assert partition.landed_end == 4
    assert partition.last_slot is not None
    assert (partition.last_slot.footer.rows, partition.last_slot.age(NOW)) == (1, timedelta(seconds=5))


def test_with_the_groups_hint_only_the_end_of_a_chain_is_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    land_bars(lake, 50)
    read = []
    local_path = LocalStorage.local_path
    monkeypatch.setattr(LocalStorage, "local_path", lambda self, key: read.append(key) or local_path(self, key))
    [partition] = read_status(lake.storage, kafka(end=100, last_slot=96)).partitions
    assert partition.landed_end == 100
    assert len(set(read)) <= 4


def test_a_hint_of_a_lake_that_was_lost_misleads_nobody(lake: Lake) -> None:
    land_bars(lake, 3)
    [partition] = read_status(lake.storage, kafka(end=100, last_slot=96)).partitions
    assert (partition.landed_end, partition.lag) == (6, 94)


def test_another_incarnation_of_the_topic_has_no_part_in_its_lag(lake: Lake) -> None:
    land_bars(lake, 1)
    other = replace(kafka(end=100), topic_id="incarnation-2")
    [partition] = read_status(lake.storage, other).partitions
    assert (partition.broker_end, partition.lag, partition.landed_end) == (None, None, 2)


def test_before_the_first_build_and_without_kafka_it_says_what_it_can(lake: Lake) -> None:
    land_bars(lake, 1)
    status = read_status(lake.storage, KafkaSide())
    assert (status.manifest, status.partitions[0].lag) == (None, None)
    assert "Nothing is published yet" in text_of(status)


def test_an_empty_lake_says_how_to_begin(settings: Settings) -> None:
    assert "tickhouse replay sample" in text_of(read_status(LocalStorage(settings.lake_path), KafkaSide()))


def test_a_refused_batch_is_told_with_the_reason_and_the_way_on(lake: Lake) -> None:
    land_bars(lake, 3)
    validate(lake, 0, 2)
    reason = "2 of 2 rows (100.0 %) fail validation, more than validation.max_quarantined_pct = 20"
    write_refusal(lake.storage, lake.chain, Refusal(position=2, reason=reason, failing_rows=2, refused_at=BEGUN_AT))
    status = read_status(lake.storage, KafkaSide())
    text = text_of(status)
    assert "Publishing is held up since 2026-01-01 00:00:00 UTC" in text
    assert reason in text
    assert "`TICKHOUSE_VALIDATION__MAX_QUARANTINED_PCT=100 tickhouse build`" in text
    assert status_json(status, NOW)["partitions"][0]["refused"]["position"] == 2
    validate(lake, 2, 4)
    assert "held up" not in text_of(read_status(lake.storage, KafkaSide())), "it has passed since"


def test_a_batch_that_no_setting_lets_through_says_so(lake: Lake) -> None:
    land_bars(lake, 1)
    refusal = Refusal(position=0, reason="the batch breaks columns_are_known", failing_rows=0, refused_at=BEGUN_AT)
    write_refusal(lake.storage, lake.chain, refusal)
    assert "No setting lets it through" in text_of(read_status(lake.storage, KafkaSide()))


def test_dead_letters_and_lost_offsets_are_told(lake: Lake) -> None:
    land_bars(lake, 1)
    give_up(lake.storage, Loss(lake.chain, 2, 10), "somebody", NOW)
    lake.storage.put_if_absent(f"dead_letter/{lake.chain.path}/00000000000000000000-a.parquet", b"")
    text = text_of(read_status(lake.storage, KafkaSide()))
    assert "Lost: 8 offsets of bars / 0, id incarnation-1, from 2 to 9; somebody" in text
    assert "Dead letters: 1 files" in text


def test_without_a_broker_the_lake_is_told_and_the_reason_at_once(lake: Lake) -> None:
    land_bars(lake, 1)
    settings = lake.settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:1")})
    started = datetime.now(UTC)
    side = read_kafka_side(settings)
    assert datetime.now(UTC) - started < timedelta(seconds=1)
    text = text_of(read_status(lake.storage, side))
    assert "Without Kafka's side: no broker answers at 127.0.0.1:1" in text
    assert "bars / 0" in text


def test_json_says_the_same_to_programs(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    land_bars(lake, 1)
    settings = lake.settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:1")})
    show_status(settings, as_json=True)
    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["snapshot"] is None
    assert told["kafka_unknown"].startswith("no broker answers")
    [partition] = told["partitions"]
    assert (partition["topic"], partition["landed"], partition["lag"], partition["last_slot"]["rows"]) == ("bars", 2, None, 2)


def test_derived_bars_are_told_apart_from_landed_ones(lake: Lake) -> None:
    daily = stock_bars().query("symbol == 'FB'")
    publish_bars(lake.storage, pd.concat([daily, weekly_bars(daily)]))
    land_bars(lake, 1)
    status = read_status(lake.storage, KafkaSide())
    assert "Of 196 landed rows, 196 are current" in text_of(status)
    assert "42 coarser bars are derived from them." in text_of(status)
    assert status_json(status, datetime.now(UTC))["snapshot"]["derived"] == 42


def test_beside_a_running_demo_its_folder_is_named(settings: Settings) -> None:
    def told() -> str:
        console = Console(width=500, record=True)
        with console.capture() as captured:
            console.print(report(settings, Status((), None)))
        return captured.get()

    assert "demo runs" not in told()
    with held_folder(demo_settings(settings)) as folder:
        assert f"`TICKHOUSE_DATA_DIR={folder} tickhouse status`" in told()
    assert "demo runs" not in told()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (12, "12 s"), (119, "119 s"), (180, "3 min"), (7_200, "2 h"), (200_000, "2 d")],
)
def test_an_age_is_told_at_a_glance(seconds: float, text: str) -> None:
    assert seconds_text(timedelta(seconds=seconds)) == text
