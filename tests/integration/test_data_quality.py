"""What is told of the data's quality: right by hand, by an oracle and by the exchanges' calendars, build by build."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import exchange_calendars
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from lake import BEGUN_AT, Lake, bar, real_bars, run_models
from real_series import SHARED, shared_data

from apps.api.main import create_app
from ingestion.chain.slot import Chain
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform import sessions
from transform.build import run_build, validate
from transform.build_lock import build_lock
from transform.freshness.gaps import Gaps, find_gaps
from transform.marts import FCT_DATA_QUALITY_SCHEMA
from transform.snapshot.read import SnapshotReader
from transform.warehouse import begin_build, finish_build, open_warehouse

COUNTS = ("landed_rows", "current_rows", "duplicate_rows", "corrected_rows", "quarantined_rows", "late_bars")
GAPS = ("expected_bars", "missing_bars", "off_session_bars")
Key = tuple[str, str, str]


def published(settings: Settings) -> dict[Key, tuple[Any, ...]]:
    """By symbol, interval and month `COUNTS` and `GAPS`, and on the way that they add up to the snapshot's balance."""
    with SnapshotReader(open_storage(settings)).pin() as snapshot:
        assert snapshot is not None
        rows = snapshot.query("from fct_data_quality order by symbol, interval, ts").to_pylist()
        balance = snapshot.manifest.balance
    total = {name: sum(row[name] for row in rows) for name in COUNTS}
    assert total["landed_rows"] == balance.landed
    assert total["current_rows"] == balance.current
    assert total["duplicate_rows"] + total["corrected_rows"] == balance.superseded
    assert total["quarantined_rows"] == balance.quarantined
    return {(row["symbol"], row["interval"], f"{row['ts']:%Y-%m}"): tuple(row[name] for name in (*COUNTS, *GAPS)) for row in rows}


def test_what_landed_is_counted_as_one_would_by_hand(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    broken = bar("AAPL", 6, 10.0, high=0.5)
    lake.land([bar("AAPL", 1, 1.0), bar("AAPL", 2, 2.0), bar("AAPL", 5, 5.0), bar("AAPL", 5, 5.0), broken, bar("AAPL", 7, 7.0)])
    lake.land([bar("UNKNOWN", 1, 1.0)])
    run_build(build_settings)
    # The 7th of January, the only session without a bar, is in quarantine.
    first = {
        ("AAPL", "1d", "2020-01"): (6, 4, 1, 0, 1, 0, 5, 1, 0),
        ("UNKNOWN", "1d", "2020-01"): (1, 1, 0, 0, 0, 0, None, None, None),
    }
    assert published(build_settings) == first
    mended, saturday, minute = bar("AAPL", 6, 6.0), bar("AAPL", 3, 3.0), bar("AAPL", 8, 8.0, interval="1m")
    lake.land([mended, bar("AAPL", 2, 2.5), saturday, mended, minute, bar("AAPL", 61, 61.0)])
    lake.land([bar("AAPL", 2, 2.0)])
    run_build(build_settings)
    # Mended and Saturday's are late; a correction and its withdrawal are two; and a month without any bar is between others.
    assert published(build_settings) == first | {
        ("AAPL", "1d", "2020-01"): (11, 6, 2, 2, 1, 2, 21, 16, 1),
        ("AAPL", "1d", "2020-02"): (0, 0, 0, 0, 0, 0, 19, 19, 0),
        ("AAPL", "1d", "2020-03"): (1, 1, 0, 0, 0, 0, 1, 0, 0),
        ("AAPL", "1m", "2020-01"): (1, 1, 0, 0, 0, 0, None, None, None),
    }


def test_each_batch_says_what_failed_in_it_and_the_newest_thousand_are_told(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("A", 0, 1.0), bar("A", 1, 1.0, volume=-1.0), bar("A", 2, 1.0, volume=-1.0, low=None)])
    run_build(build_settings)
    with SnapshotReader(open_storage(build_settings)).pin() as snapshot:
        assert snapshot is not None
        (batch,) = snapshot.query("from fct_batch_quality").to_pylist()
    assert (batch["topic"], batch["topic_id"], batch["partition"]) == ("bars", "incarnation-1", 0)
    assert (batch["position"], batch["next_offset"], batch["landed_rows"], batch["quarantined_rows"]) == (0, 3, 3, 2)
    assert json.loads(batch["quarantined_by_rule"]) == {"low_is_given": 1, "volume_is_not_negative": 2}
    with open_warehouse(build_settings) as connection:
        connection.execute(
            "insert into landing.slot by name select slot.* replace (number + 1 as slot_seq, number + 2 as position, "
            "null as quarantine_key, 0 as quarantined_rows, validated_at + to_seconds(number) as validated_at) "
            "from landing.slot as slot cross join range(1, 1001) as later (number)"
        )
        positions = connection.execute("select position from fct_batch_quality order by position").fetchall()
    assert positions == [(position,) for position in range(3, 1_003)]


def test_what_broke_which_rule_is_counted_by_rule(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("A", 0, 1.0), bar("A", 1, 1.0, volume=-1.0), bar("A", 2, 1.0, volume=-1.0, low=None), bar("B", 0, 1.0)])
    run_build(build_settings)
    with open_warehouse(build_settings) as connection:
        rows = connection.execute(
            "select symbol, quarantined_rows, quarantined_by_rule from fct_data_quality order by all"
        ).fetchall()
        named = connection.execute("select broken_rules from int_quarantined_bar order by ts").fetchall()
    assert [(symbol, bars, json.loads(rules)) for symbol, bars, rules in rows] == [
        ("A", 2, {"low_is_given": 1, "volume_is_not_negative": 2}),
        ("B", 0, {}),
    ]
    assert named == [(["volume_is_not_negative"],), (["low_is_given", "volume_is_not_negative"],)]


def test_another_calendar_is_taken_without_new_bars(build_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(build_settings)
    lake.land([bar("AAPL", 1, 1.0), bar("AAPL", 30, 1.0)])
    with monkeypatch.context() as context:
        context.setattr(sessions, "SAME_DAYS", {"XNAS": "XHKG"})
        run_build(build_settings)
    in_hong_kong = exchange_calendars.get_calendar("XHKG").sessions_in_range("2020-01-02", "2020-01-31")
    assert published(build_settings)["AAPL", "1d", "2020-01"][6] == len(in_hong_kong) == 20
    run_build(build_settings)
    assert published(build_settings)["AAPL", "1d", "2020-01"][6] == 21
    with open_warehouse(build_settings) as connection:
        asked = connection.execute("select distinct build_seq from control.calendar").fetchall()
    run_build(build_settings)
    with open_warehouse(build_settings) as connection:
        assert connection.execute("select distinct build_seq from control.calendar").fetchall() == asked == [(2,)]


def test_the_api_answers_month_by_month_of_what_was_published(build_settings: Settings) -> None:
    api = TestClient(create_app(build_settings))

    def months(**asked: Any) -> list[tuple[str, str, str]]:
        answer = api.get("/data-quality", params=asked)
        assert answer.status_code == 200, answer.text
        return [(row["symbol"], row["interval"], row["month"]) for row in answer.json()["months"]]

    assert months(symbol="AAPL") == [], "before anything is published"
    lake = Lake(build_settings)
    lake.land([bar("AAPL", 1, 1.0), bar("AAPL", 61, 1.0), bar("AAPL", 61, 1.0, interval="1m"), bar("BAD", 0, 1.0, volume=-1.0)])
    run_build(build_settings)
    days = [("AAPL", "1d", "2020-01-01"), ("AAPL", "1d", "2020-02-01"), ("AAPL", "1d", "2020-03-01")]
    assert months() == [*days, ("AAPL", "1m", "2020-03-01"), ("BAD", "1d", "2020-01-01")]
    assert months(symbol="AAPL", interval="1d") == days
    assert months(interval="1d", start="2020-02-29", end="2020-02-29") == days[1:2]
    assert months(start="2020-03-31T23:59:59Z") == [days[2], ("AAPL", "1m", "2020-03-01")]
    assert months(limit=2, offset=1) == days[1:]
    (bad,) = api.get("/data-quality", params={"symbol": "BAD"}).json()["months"]
    assert bad["quarantined_by_rule"] == {"volume_is_not_negative": 1}
    assert (bad["expected_bars"], bad["first_ts"]) == (None, None)
    lake.land([bar("AAPL", 62, 1.0)])
    run_build(build_settings)
    landed = [
        api.get("/data-quality", params={"symbol": "AAPL", "interval": "1d", "start": "2020-03-01", "as_of": n}) for n in (0, 1)
    ]
    assert [answer.json()["months"][0]["landed_rows"] for answer in landed] == [1, 2]


HSI = SHARED / "index_hsi_1986-2010.csv"


@pytest.fixture(scope="module")
def real(shared_build_settings: Settings) -> Settings:
    """The demo's bars, and the Hang Seng index where it lies beside the checkout, in one build."""
    lake = Lake(shared_build_settings)
    lake.land(real_bars())
    if HSI.is_file():
        lake.land(hang_seng())
    run_build(shared_build_settings)
    return shared_build_settings


def hang_seng() -> pd.DataFrame:
    frame = pd.read_csv(HSI).rename(columns=str.lower).rename(columns={"index": "symbol", "date": "ts", "adj close": "adj_close"})
    return frame.assign(ts=pd.to_datetime(frame["ts"], utc=True))


def gaps(bars: pd.DataFrame, calendar: str) -> tuple[list[str], list[str]]:
    """Sessions without a bar, and days with a bar that are no session."""
    days = pd.DatetimeIndex(bars["ts"]).tz_localize(None)
    first = max(days.min(), pd.Timestamp("1960-01-01"))
    known = exchange_calendars.get_calendar(calendar, start=first, end=days.max()).sessions
    return [f"{day:%Y-%m-%d}" for day in known.difference(days)], [f"{day:%Y-%m-%d}" for day in days.difference(known)]


def by_month(days: list[str]) -> dict[str, int]:
    return {month: sum(day.startswith(month) for day in days) for month in {day[:7] for day in days}}


def gaps_told(settings: Settings, symbol: str) -> tuple[dict[str, int], dict[str, int]]:
    rows = {month: row for (name, interval, month), row in published(settings).items() if (name, interval) == (symbol, "1d")}
    assert all(row[6] is not None for row in rows.values())
    return {month: row[7] for month, row in rows.items() if row[7]}, {month: row[8] for month, row in rows.items() if row[8]}


def days_without_a_bar(settings: Settings) -> tuple[Gaps, ...]:
    return find_gaps(settings, open_storage(settings), datetime.now(UTC)).gaps


def test_the_demos_stocks_have_no_gap(real: Settings) -> None:
    for symbol, bars in real_bars().groupby("symbol"):
        missing, off_session = gaps(bars, "XNYS")
        assert (missing, off_session) == ([], []), symbol
        assert gaps_told(real, str(symbol)) == ({}, {}), symbol
    assert {each.symbol for each in days_without_a_bar(real)} <= {"HSI"}


@shared_data
def test_the_gaps_of_the_hang_seng_index_are_those_of_its_exchange(real: Settings) -> None:
    with open_warehouse(real) as connection:
        rejected = connection.execute("select ts from int_quarantined_bar where symbol = 'HSI'").fetch_df()["ts"]
    bars = hang_seng()
    missing, off_session = gaps(bars[~bars["ts"].isin(rejected)], "XHKG")
    assert (len(bars), len(rejected)) == (5_693, 0)
    assert missing == ["1991-02-14", "1993-10-01", "1997-02-06", "2009-12-24", "2009-12-31"]
    assert len(off_session) == 14
    assert "2001-10-25" in off_session, "the 25th of October 2001 was a holiday"
    assert gaps_told(real, "HSI") == (by_month(missing), by_month(off_session))
    assert {each.symbol: [str(day) for day in each.days] for each in days_without_a_bar(real)} == {"HSI": missing}


def batches(seed: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """For one of two chains: bars in no order, some repeated, corrected, broken, and some replayed from an earlier place."""
    rng = random.Random(seed)
    offsets = [0, 0]
    for _ in range(8):
        chain = rng.choice((0, 0, 1))
        rows = []
        for _ in range(rng.choice((1, 4, 20))):
            symbol, interval = rng.choice((("AAPL", "1d"), ("AAPL", "1m"), ("X", "1d")))
            place = rng.choice((rng.randrange(90), offsets[0] // 2))
            row = bar(symbol, place, rng.choice((1.0, 2.0)), interval=interval, **({"high": 0.5} if rng.random() < 0.1 else {}))
            is_replayed = rng.random() < 0.15
            origin = rng.randrange(6) if is_replayed else None
            rows.append(
                row
                | {
                    "origin_topic_id": "incarnation-1" if is_replayed else None,
                    "origin_partition": 7 if is_replayed else None,
                    "origin_offset": origin,
                    "origin_timestamp": BEGUN_AT + pd.Timedelta(milliseconds=3 * origin) if origin is not None else None,
                }
            )
        offsets[chain] += len(rows)
        yield chain, rows


def model_quality(settings: Settings, *arguments: str) -> dict[Key, tuple[Any, ...]]:
    """What a build does of these models, and then every column but the build's number."""
    models = ("instrument", "stg_bar", "int_quarantined_bar", "int_landed_bar", "fct_data_quality")
    without_tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    with build_lock(settings):
        run_models(settings, "build", "--select", *models, *without_tests, *arguments)
    with open_warehouse(settings) as connection:
        rows = connection.execute("from fct_data_quality").fetchall()
    return {(symbol, interval, f"{ts:%Y-%m}"): tuple(rest) for symbol, interval, ts, *rest, _change_seq in rows}


@pytest.mark.parametrize("seed", [1, 2])
def test_build_by_build_it_is_what_all_at_once_and_an_oracle_say(build_settings: Settings, seed: int) -> None:
    lakes = [Lake(build_settings, Chain("bars", f"incarnation-{number}", 0)) for number in (1, 2)]
    validation = build_settings.validation.model_copy(update={"max_quarantined_pct": 100.0})
    settings = build_settings.model_copy(update={"validation": validation})
    for chain, rows in batches(seed):
        lakes[chain].land(rows)
        assert validate(settings, open_storage(settings)).blocked is None
        build = begin_build(settings, open_storage(settings))
        incremental = model_quality(settings)
        finish_build(settings, build)
    assert incremental == model_quality(settings, "--full-refresh")
    names = [name for name in FCT_DATA_QUALITY_SCHEMA.names if name not in ("symbol", "interval", "ts", "change_seq")]
    told = {key: dict(zip(names, row, strict=True)) for key, row in incremental.items()}
    expected = oracle(settings)
    assert {key: {name: row[name] for name in COUNTS} for key, row in told.items() if row["landed_rows"]} == expected
    assert all(sum(row[name] for row in expected.values()) > 2 for name in COUNTS), "the batches hold some of each"


def oracle(settings: Settings) -> dict[Key, dict[str, int]]:
    """The same counts, message by message."""
    place = ", ".join(
        f"coalesce({one}, {other})"
        for one, other in (
            ("origin_begun_at", "topic_begun_at"),
            ("origin_timestamp", "kafka_timestamp"),
            ("origin_partition", '"partition"'),
            ("origin_offset", '"offset"'),
        )
    )
    with open_warehouse(settings) as connection:
        asked = f'symbol, interval, ts, close, topic_id, ({place}, slot_seq, "offset") as place'
        rows = connection.execute(f'select {asked} from stg_bar order by topic_id, "offset"').fetchall()
        current = connection.execute("select symbol, interval, ts from int_landed_bar").fetchall()
        rejected = connection.execute("select symbol, interval, ts from int_quarantined_bar").fetchall()
    found: dict[Key, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTS, 0))
    messages = defaultdict(list)
    newest: dict[Any, Any] = {}
    seen = set()
    for symbol, interval, ts, close, topic_id, where in rows:
        count = found[symbol, interval, f"{ts:%Y-%m}"]
        count["landed_rows"] += 1
        series, identity = (topic_id, symbol, interval), (topic_id, symbol, interval, ts)
        count["late_bars"] += identity not in seen and newest.get(series, ts) > ts
        newest[series] = max(newest.get(series, ts), ts)
        seen.add(identity)
        messages[symbol, interval, ts].append((where, close))
    for (symbol, interval, ts), said in messages.items():
        closes = [close for _place, close in sorted(said)]
        changes = sum(one != other for one, other in pairwise(closes))
        found[symbol, interval, f"{ts:%Y-%m}"]["corrected_rows"] += changes
    for symbol, interval, ts in current:
        found[symbol, interval, f"{ts:%Y-%m}"]["current_rows"] += 1
    for symbol, interval, ts in rejected:
        found[symbol, interval, f"{ts:%Y-%m}"]["landed_rows"] += 1
        found[symbol, interval, f"{ts:%Y-%m}"]["quarantined_rows"] += 1
    for count in found.values():
        rest = count["current_rows"] + count["corrected_rows"] + count["quarantined_rows"]
        count["duplicate_rows"] = count["landed_rows"] - rest
    return dict(found)
