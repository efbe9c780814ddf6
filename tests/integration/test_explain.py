"""A published value is explained back to its place in Kafka, and what was changed on the way is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lake import BEGUN_AT, Lake, bar
from typer.testing import CliRunner, Result

from apps.cli.main import app
from ingestion.chain.compaction import ArchiveSize, compact
from tickhouse.settings import Settings, as_environment
from transform.build import run_build
from transform.proof.definitions import definitions
from transform.proof.explain import explain
from transform.proof.explanation import Explanation
from transform.proof.held import WarehouseMissingError
from transform.proof.nulls import why_null
from transform.proof.question import Question, UnknownValueError
from transform.validation.record import record_key
from transform.warehouse import open_warehouse

CORRECTED = "2020-01-31"
BROKEN = "2020-01-21"
JUMPED = "2020-02-29"
REPLAYED = "2020-03-01"


@pytest.fixture(scope="module")
def lake(shared_build_settings: Settings) -> Lake:
    """Two archived slots and two that are not: 60 days of A, its corrections, 12 minutes of M, and rows that were rejected."""
    lake = Lake(shared_build_settings)
    closes = [100.0 + 3 * (day % 7) - day % 3 for day in range(59)]
    lake.land([bar("A", day, close, adj_close=close / 2, source="feed") for day, close in enumerate(closes)])
    start = pd.Timestamp("2020-03-02T14:30", tz="UTC")
    minutes = [start + pd.Timedelta(minutes=minute) for minute in range(12)]
    lake.land([bar("M", 0, 50.0 + at.minute, interval="1m", ts=at, volume=0.1 * at.minute) for at in minutes])
    run_build(lake.settings)
    compact(lake.storage, ArchiveSize(rows=60))
    origin = {"origin_topic_id": lake.chain.topic_id, "origin_partition": 0, "origin_offset": 900, "origin_timestamp": BEGUN_AT}
    lake.land([bar("A", 30, 111.0, adj_close=55.0), bar("A", 20, 100.0, high=1.0), bar("A", 90, 5.0, low=9.0)])
    lake.land([bar("A", 59, 140.0, adj_close=70.0), bar("A", 60, 139.0, adj_close=69.5, **origin)])
    run_build(lake.settings)
    return lake


@pytest.fixture
def copied(lake: Lake, tmp_path: Path) -> Settings:
    """A copy of it all, to be changed."""
    shutil.copytree(lake.settings.data_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("dbt", "logs"))
    return lake.settings.model_copy(update={"data_dir": tmp_path / "copy"})


def ask(settings: Settings, symbol: str, when: str, column: str, interval: str = "1d") -> Explanation:
    from tickhouse.storage import open_storage

    return explain(settings, open_storage(settings), Question.of(symbol, when, column, interval))


def change(settings: Settings, sql: str) -> None:
    with open_warehouse(settings) as connection:
        connection.execute(sql)


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, ["explain", *arguments])


def test_an_indicator_leads_to_its_bars_its_slot_and_its_place_in_kafka(lake: Lake) -> None:
    found = ask(lake.settings, "A", "2020-02-20", "sma_20")
    assert found.doubts == ()
    assert found.definition.said == "mean of the last 20 C"
    assert found.reach is not None
    assert (found.reach.bar_number, str(found.reach.first_ts.date())) == (51, "2020-02-01")
    assert found.reach.recomputed.said == "recomputed from 51 bars: equal to the bit"
    assert (found.bar.source, found.bar.price_basis, found.bar.finer) == ("feed", "adjusted", None)
    (place,) = found.places
    assert (place.topic, place.topic_id, place.partition, place.offset) == ("bars", "incarnation-1", 0, 50)
    assert place.slot is not None
    assert (place.slot.position, place.slot.next_offset, place.slot.registered_by) == (0, 59, 1)
    assert place.slot.validation is not None
    assert place.slot.validation.key == record_key(lake.chain, 0)
    assert [(build.build_seq, build.did) for build in found.builds] == [
        (1, ("took its slot in", "changed the bar")),
        (2, ("computed its indicators", "was published")),
    ]


def test_a_slot_that_was_compacted_is_read_from_its_archive(lake: Lake) -> None:
    archived, slot = ask(lake.settings, "A", "2020-01-02", "close"), ask(lake.settings, "A", CORRECTED, "close")
    assert archived.doubts == slot.doubts == ()
    assert archived.places[0].slot is not None
    assert slot.places[0].slot is not None
    assert not lake.storage.exists(archived.places[0].slot.key)
    assert lake.storage.exists(archived.places[0].slot.bars_key)
    assert (archived.places[0].slot.archive_key, slot.places[0].slot.archive_key) == (
        "archive/topic=bars/id=incarnation-1/partition=0/00000000000000000000.json",
        None,
    )


def test_a_derived_bar_is_folded_again_of_its_finer_ones(lake: Lake) -> None:
    found = ask(lake.settings, "M", "2020-03-02T14:35", "volume", "5m")
    assert found.doubts == ()
    assert found.bar.finer is not None
    assert (found.bar.finer.interval, found.bar.finer.bars, found.bar.finer.first_ts.minute) == ("1m", 5, 35)
    assert found.bar.made_again.said == "folded again of 5 bars of 1m: equal to the bit"
    assert [place.offset for place in found.places] == [64, 65, 68]
    assert any("5 rows are in the lake as in the models" in check.said for check in found.lake)


@pytest.mark.parametrize("interval", ["1h", "1d", "1w"])
def test_a_derived_bar_that_is_not_closed_says_so_and_why_its_rules_are_silent(lake: Lake, interval: str) -> None:
    when = "2020-03-02T14:00" if interval == "1h" else "2020-03-02"
    found = ask(lake.settings, "M", when, "high", interval)
    assert found.doubts == ()
    assert found.bar.finer is not None
    assert (found.bar.is_closed, found.bar.finer.bars) == (False, 12)


def test_what_a_correction_superseded_is_told(lake: Lake) -> None:
    found = ask(lake.settings, "A", CORRECTED, "close")
    assert found.doubts == ()
    assert found.value.value == 111.0
    assert [(row.fate, row.offset) for row in found.others] == [("superseded", 30)]
    assert [build.did for build in found.builds if build.build_seq == 2] == [
        ("took its slot in", "changed the bar", "computed its indicators", "was published")
    ]


def test_a_row_of_the_same_bar_in_quarantine_is_told_with_the_rules_it_broke(lake: Lake) -> None:
    (other,) = ask(lake.settings, "A", BROKEN, "close").others
    assert (other.fate, other.offset) == ("quarantined", 72)
    assert "high_is_not_below_low" in other.broken_rules


def test_a_bar_that_was_quarantined_altogether_is_told_where_it_is_missed(lake: Lake) -> None:
    with pytest.raises(UnknownValueError, match=r"offset 73 of partition 0 would be it, but is in quarantine: .*low"):
        ask(lake.settings, "A", "2020-03-31", "close")


def test_a_dead_letter_that_was_sent_again_tells_its_first_place(lake: Lake) -> None:
    (place,) = ask(lake.settings, "A", REPLAYED, "close").places
    assert place.replay_of is not None
    assert (place.offset, place.replay_of.offset, place.replay_of.at) == (75, 900, BEGUN_AT)


def test_a_value_that_is_missing_says_why(lake: Lake) -> None:
    found = ask(lake.settings, "A", "2020-01-12", "sma_20")
    assert found.doubts == ()
    assert found.value.null_because == "warm-up: this is bar 12 of its series, and sma_20 begins at bar 20"
    assert ask(lake.settings, "A", "2020-01-12", "derived_from").value.null_because == "the bar landed"
    assert ask(lake.settings, "M", "2020-03-02T14:31", "adj_close", "1m").value.null_because == "the feed carries none"
    rsi = definitions()["rsi_14"]
    assert why_null("rsi_14", rsi, 60, [], {}) == "analytics was off when it was published (analytics.enabled)"
    assert why_null("rsi_14", rsi, 60, ["macd"], {}) == "analytics.indicators leaves it out"
    assert "never moved" in str(why_null("rsi_14", rsi, 60, ["rsi_14"], {}))


def test_a_rule_tells_the_alert_it_raised_or_why_it_raised_none(lake: Lake) -> None:
    found = ask(lake.settings, "A", JUMPED, "price_change")
    assert found.doubts == ()
    rule = found.rules[0]
    assert (rule.rule, rule.fired, rule.severity, rule.threshold) == ("price_change", True, "high", 10.0)
    assert rule.value == found.value.value
    silent = ask(lake.settings, "A", JUMPED, "volume_spike")
    assert (silent.value.value, silent.value.null_because) == (None, "no alert: 100 is not above 200")
    warming = ask(lake.settings, "A", "2020-01-12", "volume_spike")
    assert "warm-up: this is bar 12" in str(warming.value.null_because)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("AA", "2020-02-20", "close"), r"no symbol 'AA' \(do you mean A\?\); there is A, M"),
        (("A", "2021-02-20", "close"), r"no 1d bar of A at 2021-02-20; the nearest: 2020-03-01 before it$"),
        (("A", "2020-02-20T10:00", "close"), "the nearest: 2020-02-20 before it and 2020-02-21 after it"),
        (("A", "2020-02-20", "close", "1h"), "has no 1h bars of A, only of 1d, 1w"),
        (("A", "2020-02-20", "close", "7d"), "there is no interval '7d': it is one of 1m, 5m"),
        (("A", "2020-02-20", "rsi14"), r"no column 'rsi14' \(do you mean rsi_14.*or an alert rule: price_change"),
        (("A", "last week", "close"), "'last week' is no date: write it as 2008-10-10"),
        (("M", "2020-03-02", "close", "1m"), "M has 12 bars of 1m on 2020-03-02, from 2020-03-02T14:30 to 2020-03-02T14:41: say"),
    ],
)
def test_what_is_not_there_is_answered_by_what_there_is(lake: Lake, asked: tuple[str, ...], said: str) -> None:
    with pytest.raises(UnknownValueError, match=said):
        ask(lake.settings, *asked)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("update int_indicator set rsi_14 = rsi_14 + 1 where symbol = 'A'", "the warehouse differs: rsi_14 is "),
        ("update int_landed_bar set basis_close = 60 where ts = '2020-01-25'", "recomputed from 51 bars rsi_14 is "),
        ("delete from int_landed_bar where ts = '2020-01-25'", "recomputed from 50 bars rsi_14 is "),
        ("update int_landed_bar set open = 60 where ts = '2020-02-20'", "at offset 50 of partition 0 open is 60.0"),
        ("update landing.slot set landed_rows = 58 where position = 0", "slot 0 and its validation record say"),
        ("delete from int_landed_bar where ts = '2020-02-20'", "the warehouse does not hold this bar"),
    ],
)
def test_a_value_that_was_changed_in_the_warehouse_is_named(copied: Settings, sql: str, said: str) -> None:
    change(copied, sql)
    assert any(said in doubt for doubt in ask(copied, "A", "2020-02-20", "rsi_14").doubts)


def test_a_rule_that_would_not_have_raised_the_published_alert_is_named(copied: Settings) -> None:
    change(copied, "update alert_rule set threshold = 90 where rule = 'price_change'")
    doubts = ask(copied, "A", JUMPED, "price_change").doubts
    assert doubts == ("the alert price_change is published, though its rule does not fire",)


def test_what_is_gone_from_the_lake_is_named(copied: Settings) -> None:
    (copied.data_dir / "lake" / record_key(Lake(copied).chain, 71)).unlink()
    assert ask(copied, "A", CORRECTED, "close").doubts == ("the validation record of slot 71 is gone",)
    for file in (copied.data_dir / "lake").glob("landing/**/archive/*.parquet"):
        file.unlink()
    assert "cannot be read" in ask(copied, "A", "2020-01-02", "close").doubts[0]


def test_without_a_warehouse_it_says_what_makes_one(copied: Settings) -> None:
    copied.warehouse_path.unlink()
    with pytest.raises(WarehouseMissingError, match="`tickhouse build` makes"):
        ask(copied, "A", "2020-02-20", "close")
    assert not copied.warehouse_path.exists()


def test_before_the_first_snapshot_it_says_what_publishes_one(settings: Settings) -> None:
    with pytest.raises(UnknownValueError, match="nothing is published yet: `tickhouse build`"):
        ask(settings, "A", "2020-02-20", "close")


@pytest.mark.parametrize("asked", [("A", JUMPED, "price_change"), ("M", "2020-03-02", "rsi_14"), ("A", CORRECTED, "macd")])
def test_the_command_fits_on_a_screen(lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch, asked: Any) -> None:
    result = run(lake.settings, monkeypatch, *asked)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert lines[-1].endswith("things that were looked at again hold.")


def test_the_command_tells_programs_the_same_and_ends_with_1_when_something_does_not_hold(
    copied: Settings, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = run(copied, monkeypatch, "A", "2020-02-20", "rsi_14", "--json")
    told = json.loads(sound.stdout)
    assert (sound.exit_code, told["holds"], told["doubts"], told["places"][0]["offset"]) == (0, True, [], 50)
    assert (told["value"]["ts"], told["reach"]["recomputed"]["holds"]) == ("2020-02-20T00:00:00Z", True)
    change(copied, "update int_indicator set rsi_14 = rsi_14 + 1 where symbol = 'A'")
    changed = run(copied, monkeypatch, "A", "2020-02-20", "rsi_14")
    assert changed.exit_code == 1
    assert "DOES NOT HOLD: the warehouse differs: rsi_14" in changed.stdout
    assert run(copied, monkeypatch, "A", "2020-02-20", "nothing").exit_code == 2
