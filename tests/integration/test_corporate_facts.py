"""What a feed without adjusted prices looks like at splits, spin-offs and errors: each is told for what it is.

The S&P set's own rows, by name, where it lies beside the checkout.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from lake import Lake, bar
from real_series import shared_data, sp500_bars

from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.build import run_build
from transform.build_lock import build_lock
from transform.snapshot.read import SnapshotReader
from transform.warehouse import open_warehouse

SPLITS = {("DISCA", "2014-08-07"), ("DISCK", "2014-08-07")}
REAL_MOVES = {("AMD", "2016-04-22"), ("VRTX", "2013-04-19")}
SPIN_OFFS = {("EBAY", "2015-07-20"), ("NI", "2015-07-02")}
WRONG_PRICE = ("LNT", "2016-05-19")


def published(settings: Settings, sql: str) -> list[dict[str, Any]]:
    with SnapshotReader(open_storage(settings)).pin() as snapshot:
        assert snapshot is not None
        return snapshot.query(sql).to_pylist()


def facts(settings: Settings, sql: str) -> set[tuple[str, str]]:
    return {(row["symbol"], f"{row['ts']:%Y-%m-%d}") for row in published(settings, sql)}


@shared_data
def test_the_largest_moves_of_the_sp500_are_in_the_right_bins(build_settings: Settings) -> None:
    bars = sp500_bars()
    named = {symbol for symbol, _ in SPLITS | REAL_MOVES | SPIN_OFFS | {WRONG_PRICE}}
    moves = bars.groupby("symbol")["close"].pct_change(fill_method=None).abs()
    large = set(bars.loc[moves > 0.25, "symbol"])  # every symbol that could be taken for a split
    bars = bars[bars["symbol"].isin(large | named)]
    bars["ts"] = pd.to_datetime(bars.pop("date"), utc=True)
    lake = Lake(build_settings)
    lake.land(bars.sort_values(["ts", "symbol"], ignore_index=True))
    run_build(build_settings)

    assert facts(build_settings, "from fct_quality_event where interval = '1d'") == SPLITS
    assert {row["detail"] for row in published(build_settings, "from fct_quality_event where interval = '1d'")} == {"2:1"}
    alerts = facts(build_settings, "from fct_alert where interval = '1d'")
    assert not SPLITS & alerts, "a suspected split raises no alert of any rule"
    high = "from fct_alert where interval = '1d' and rule = 'price_change' and severity = 'high' and abs(value) > 45"
    assert facts(build_settings, high) == REAL_MOVES | SPIN_OFFS
    landed = facts(build_settings, "from fct_indicator where interval = '1d' and symbol = 'LNT'")
    assert WRONG_PRICE not in landed, "a close outside of its day's range is quarantined"
    assert ("LNT", "2016-05-20") in landed - alerts, "and so there is no leap back on the day after"


def test_a_correction_that_brings_the_adjusted_price_takes_the_suspicion_back(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("A", day, 100.0) for day in range(3)] + [bar("A", 3, 50.0)])
    run_build(build_settings)
    suspected = "from fct_quality_event where interval = '1d'"
    assert [(row["detail"], row["value"]) for row in published(build_settings, suspected)] == [("2:1", 0.5)]
    lake.land([bar("A", day, 100.0, adj_close=50.0) for day in range(3)] + [bar("A", 3, 50.0, adj_close=50.0)])
    run_build(build_settings)
    assert published(build_settings, suspected) == []


def test_however_seldom_bars_are_suspected_each_is_looked_at_once(build_settings: Settings) -> None:
    """Else a build of one new bar would read every bar since the last that was suspected, which may be all there are."""
    lake = Lake(build_settings)
    lake.land([bar("A", day, 100.0) for day in range(3)])
    run_build(build_settings)
    with build_lock(build_settings), open_warehouse(build_settings) as warehouse:
        warehouse.execute("update int_indicator set price_change_pct = -50 where interval = '1d'")
    lake.land([bar("A", 3, 50.0)])
    run_build(build_settings)
    suspected = published(build_settings, "from fct_quality_event where interval = '1d'")
    assert [row["ts"].day for row in suspected] == [4]
