"""Bars derived from finer ones: right by an oracle, and build by build what all at once would give."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from lake import Lake, bar, run_models

from tickhouse.bar import INTERVALS
from tickhouse.settings import AnalyticsSettings, Settings
from transform.build import run_build, validate
from transform.build_lock import build_lock
from transform.snapshot.read import SnapshotReader
from transform.warehouse import begin_build, open_warehouse

ZONES = {"AAPL": "America/New_York", "N225": "Asia/Tokyo", "UNKNOWN": "UTC"}
LENGTHS = {name: pd.Timedelta(seconds=seconds) for name, seconds in INTERVALS.items()}
TARGETS = ("5m", "1h", "1d", "1w")
BEGIN = pd.Timestamp("2020-03-03", tz="UTC")  # New York's clocks go forward on the 8th

Row = dict[str, Any]


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    return Lake(build_settings)


def fine(symbol: str, interval: str, ts: str | pd.Timestamp, close: float, **fields: Any) -> Row:
    return {**bar(symbol, 0, close), "interval": interval, "ts": pd.Timestamp(ts), **fields}


def model_bars(lake: Lake, *arguments: str) -> None:
    """What a build does up to derived bars."""
    assert validate(lake.settings, lake.storage).blocked is None
    with build_lock(lake.settings):
        begin_build(lake.settings, lake.storage)
        models = ("instrument", "stg_bar", "int_landed_bar", "int_derived_bar")
        without_tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        run_models(lake.settings, "build", "--select", *models, *without_tests, *arguments)


def derived(settings: Settings, columns: str = "* exclude change_seq") -> list[tuple[Any, ...]]:
    """Rows of `int_derived_bar`; DuckDB prints a double so that it reads back to the bit."""
    with open_warehouse(settings) as connection:
        return connection.execute(
            f"select columns({columns})::varchar from int_derived_bar order by symbol, interval, ts"
        ).fetchall()


def batches(seed: int) -> Iterator[list[Row]]:
    """Bars of all intervals within three weeks, in no order, some of them corrections, some repeated."""
    rng = random.Random(seed)
    sent: list[Row] = []
    for _ in range(6):
        batch = []
        for _ in range(rng.randrange(1, 40)):
            symbol, interval = rng.choice(list(ZONES)), rng.choice(("1m", "1m", "1m", *INTERVALS))
            if sent and rng.random() < 0.2:
                place = rng.choice(sent)
                symbol, interval, ts = place["symbol"], place["interval"], place["ts"]
            else:
                ts = _somewhere(rng, interval)
            close = round(rng.uniform(90, 110), 2)
            adjusted = rng.choice((None, close / 3, close / 7))
            batch.append(
                fine(symbol, interval, ts, close, volume=rng.random() * 1000, adj_close=adjusted, source=rng.choice("xy"))
            )
        sent += batch
        yield batch + rng.sample(batch, len(batch) // 5)


def _somewhere(rng: random.Random, interval: str) -> pd.Timestamp:
    if interval == "1w":
        return pd.Timestamp("2020-03-02", tz="UTC") + rng.randrange(3) * LENGTHS["1w"]
    if interval == "1d":
        return BEGIN + rng.randrange(18) * LENGTHS["1d"]
    around = BEGIN + rng.choice((0, 3, 5, 6, 12)) * LENGTHS["1d"] + rng.choice((0, 3, 4, 14, 23)) * LENGTHS["1h"]
    return (around + rng.randrange(60) * LENGTHS["1m"]).floor(LENGTHS[interval])


def by_rule(landed: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The oracle: every bucket by itself, in plain Python."""
    landed = landed.sort_values("ts")
    taken = set(zip(landed["symbol"], landed["interval"], landed["ts"], strict=True))
    buckets: dict[tuple[str, str, pd.Timestamp], dict[str, list[Row]]] = {}
    for row in landed.to_dict("records"):
        for target in TARGETS:
            if LENGTHS[row["interval"]] < LENGTHS[target]:
                key = (row["symbol"], target, _bucket(row, target))
                buckets.setdefault(key, {}).setdefault(row["interval"], []).append(row)
    rows = []
    for (symbol, target, ts), by_interval in buckets.items():
        if (symbol, target, ts) in taken:
            continue
        interval = min(by_interval, key=LENGTHS.__getitem__)
        inside = by_interval[interval]
        same = landed[(landed["symbol"] == symbol) & (landed["interval"] == interval)].to_dict("records")
        rows.append((symbol, target, ts, *_fold(inside), interval, any(_reaches(row, target, ts) for row in same)))
    return sorted(rows)


def _trading_day(row: Row) -> pd.Timestamp:
    if LENGTHS[row["interval"]] >= LENGTHS["1d"]:
        return row["ts"]
    return pd.Timestamp(row["ts"].astimezone(ZoneInfo(ZONES[row["symbol"]])).date(), tz="UTC")


def _bucket(row: Row, target: str) -> pd.Timestamp:
    if target in ("5m", "1h"):
        return row["ts"].floor(LENGTHS[target])
    day = _trading_day(row)
    return day if target == "1d" else day - pd.Timedelta(days=day.weekday())


def _reaches(row: Row, target: str, ts: pd.Timestamp) -> bool:
    within_a_day = target in ("1d", "1w") and LENGTHS[row["interval"]] < LENGTHS["1d"]
    return (_trading_day(row) if within_a_day else row["ts"] + LENGTHS[row["interval"]]) >= ts + LENGTHS[target]


def _fold(rows: list[Row]) -> tuple[Any, ...]:
    basis = "basis_" if all(row["price_basis"] == "adjusted" for row in rows) else ""
    prices = [
        (
            rows[0][f"{on}open"],
            max(row[f"{on}high"] for row in rows),
            min(row[f"{on}low"] for row in rows),
            rows[-1][f"{on}close"],
        )
        for on in ("", basis)
    ]
    volume = reduce(lambda total, row: total + row["volume"], rows[1:], rows[0]["volume"])
    adjusted = rows[-1]["adj_close"] if basis else None
    return (*prices[0], adjusted, volume, "adjusted" if basis else "raw", *prices[1], rows[-1]["source"])


def told_by_rule(settings: Settings) -> list[tuple[Any, ...]]:
    with open_warehouse(settings) as connection:
        return by_rule(connection.execute("from int_landed_bar").df())


def told_by_model(settings: Settings) -> list[tuple[Any, ...]]:
    with open_warehouse(settings) as connection:
        rows = connection.execute("select * exclude change_seq from int_derived_bar").df().to_dict("records")
    return sorted(tuple(None if value is not None and value != value else value for value in row.values()) for row in rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_derived_bars_are_by_the_rule_after_every_batch_and_all_at_once(lake: Lake, seed: int) -> None:
    before: dict[tuple[Any, ...], str] = {}
    for batch in batches(seed):
        lake.land(batch)
        model_bars(lake)
        assert told_by_model(lake.settings) == told_by_rule(lake.settings)
        rows = {row[:-1]: row[-1] for row in derived(lake.settings, "*")}
        assert {row: rows[row] for row in before.keys() & rows.keys()} == {
            row: before[row] for row in before.keys() & rows.keys()
        }
        before = rows
    assert len(before) > 50
    incremental = derived(lake.settings)
    model_bars(lake, "--full-refresh")
    assert derived(lake.settings) == incremental


def test_a_build_derives_what_settings_say_and_begins_anew_when_they_change(lake: Lake) -> None:
    lake.land([fine("UNKNOWN", "1m", f"2020-03-03 10:0{minute}:00+00:00", 100.0) for minute in range(7)])
    served = "select interval, derived_from, is_closed, count(*) as bars from fct_indicator group by all order by all"
    for chosen, expected in (
        (("5m", "1h"), [["1h", "1m", False, 1], ["1m", None, True, 7], ["5m", "1m", False, 1], ["5m", "1m", True, 1]]),
        ((), [["1m", None, True, 7]]),
        (("1d",), [["1d", "1m", False, 1], ["1m", None, True, 7]]),
    ):
        settings = lake.settings.model_copy(update={"analytics": AnalyticsSettings(derived_intervals=chosen)})
        run_build(settings)
        with SnapshotReader(lake.storage).pin() as snapshot:
            assert snapshot is not None
            rows = snapshot.query(served).to_pylist()
        assert [list(row.values()) for row in rows] == expected
