"""A build from landed slots to a published snapshot: right numbers, no row lost, incremental equal to full."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from bar_series import Series
from lake import Lake, bar, real_bars
from talib_oracle import by_talib

from tickhouse.settings import INDICATORS, AlertOverride, AnalyticsSettings, Settings
from transform.build import run_build
from transform.snapshot.read import SnapshotReader


@pytest.fixture
def lake(build_settings: Settings) -> Lake:
    return Lake(build_settings)


def published(lake: Lake, sql: str) -> pd.DataFrame:
    with SnapshotReader(lake.storage).pin() as snapshot:
        assert snapshot is not None
        return snapshot.query(sql).to_pandas()


def daily(symbol: str, closes: list[float], **fields: object) -> list[dict[str, object]]:
    return [bar(symbol, day, close, **fields) for day, close in enumerate(closes)]


def test_the_published_numbers_are_talibs_for_each_symbol(lake: Lake) -> None:
    lake.land(real_bars())
    run_build(lake.settings)
    bars = published(lake, "select * from fct_indicator where derived_from is null order by symbol, ts")
    assert len(bars) == len(real_bars()) == 12_154
    for symbol, rows in bars.groupby("symbol"):
        series = Series(*(rows[name].to_numpy() for name in ("basis_high", "basis_low", "basis_close", "volume")))
        oracle = by_talib(series)
        for name in INDICATORS:
            scale = series.close.max()
            np.testing.assert_allclose(rows[name], oracle[name], rtol=1e-9, atol=1e-9 * scale, err_msg=f"{symbol} {name}")


def test_splits_of_apple_and_microsoft_raise_no_crash_alert(lake: Lake) -> None:
    lake.land(real_bars())
    run_build(lake.settings)
    splits = [("AAPL", date(2000, 6, 21)), ("AAPL", date(2005, 2, 28)), ("MSFT", date(2003, 2, 18))]
    moves = published(
        lake,
        """select symbol, ts::date as day, price_change_pct,
            100 * (close / lag(close) over (partition by symbol order by ts) - 1) as raw_change_pct
        from fct_indicator
        where derived_from is null""",
    )
    moves["day"] = pd.to_datetime(moves["day"]).dt.date
    alerts = published(
        lake, "select symbol, ts::date as day, value from fct_alert where rule = 'price_change' and interval = '1d'"
    )
    alerts["day"] = pd.to_datetime(alerts["day"]).dt.date
    for split in splits:
        move = moves.set_index(["symbol", "day"]).loc[split]
        assert move["raw_change_pct"] < -40, "the raw price halves"
        assert abs(move["price_change_pct"]) < 10
    crashes = alerts[alerts["value"] < 0].set_index(["symbol", "day"]).index
    assert crashes.intersection(pd.MultiIndex.from_tuples(splits)).empty
    assert ("AAPL", date(2000, 9, 29)) in crashes, "a real crash is told: the profit warning of September 2000"


def test_a_correction_replaces_the_bar_and_everything_after_it(lake: Lake) -> None:
    lake.land(daily("A", [100.0] * 29 + [120.0]) + daily("B", [50.0] * 30))
    first = run_build(lake.settings).manifest
    assert first.balance.model_dump() == {"landed": 60, "current": 60, "superseded": 0, "quarantined": 0}
    assert published(lake, "from fct_alert where rule = 'price_change'")[["symbol", "severity"]].values.tolist() == [
        ["A", "high"]
    ]
    lake.land([bar("A", 29, 103.0)])
    second = run_build(lake.settings).manifest
    assert second.balance.model_dump() == {"landed": 61, "current": 60, "superseded": 1, "quarantined": 0}
    assert published(lake, "from fct_alert where rule = 'price_change'").empty, "a bar that no longer moves withdraws its alert"
    last = published(lake, "from fct_indicator where symbol = 'A' order by ts").iloc[-1]
    assert last["close"] == 103.0
    assert last["price_change_pct"] == pytest.approx(3.0)


def test_an_older_message_never_beats_a_newer_one(lake: Lake) -> None:
    newer = pd.Timestamp("2026-02-01", tz="UTC")
    lake.land([bar("A", 0, 11.0, kafka_timestamp=newer)])
    run_build(lake.settings)
    lake.land([bar("A", 0, 22.0, kafka_timestamp=newer - pd.Timedelta(hours=1))])
    run_build(lake.settings)
    assert published(lake, "from fct_indicator")["close"].tolist() == [11.0, 11.0], "the bar and its week"


def test_a_repeat_that_changes_nothing_is_superseded_and_computed_once(lake: Lake) -> None:
    lake.land(daily("A", [100.0, 101.0, 102.0]))
    run_build(lake.settings)
    before = published(lake, "select ts, change_seq from fct_indicator order by ts")
    lake.land(daily("A", [100.0, 101.0, 102.0]))
    assert run_build(lake.settings).manifest.balance.superseded == 3
    pd.testing.assert_frame_equal(published(lake, "select ts, change_seq from fct_indicator order by ts"), before)


def test_thresholds_from_settings_decide_and_a_change_recomputes(lake: Lake) -> None:
    lake.land(daily("A", [100.0] * 25 + [104.0]))
    run_build(lake.settings)
    moves = "select severity, threshold from fct_alert where rule = 'price_change' and interval = '1d'"
    assert published(lake, moves).empty
    stricter = AnalyticsSettings(alert_rules=(AlertOverride(rule="price_change", severity="medium", threshold=3.0),))
    run_build(lake.settings.model_copy(update={"analytics": stricter}))
    assert published(lake, moves).values.tolist() == [["medium", 3.0]]


def test_only_the_chosen_indicators_are_computed(lake: Lake) -> None:
    lake.land(daily("A", [100.0 + day for day in range(60)]))
    run_build(lake.settings.model_copy(update={"analytics": AnalyticsSettings(indicators=("sma_20", "ema_12"))}))
    last = published(lake, "from fct_indicator order by ts").iloc[-1]
    assert not pd.isna(last["sma_20"])
    assert not pd.isna(last["ema_12"])
    assert pd.isna(last["rsi_14"])
    assert published(lake, "from fct_alert").empty, "an alert needs its indicator"


def test_with_analytics_off_bars_are_served_without_indicators(lake: Lake) -> None:
    lake.land(daily("A", [100.0] * 30 + [150.0]))
    run_build(lake.settings.model_copy(update={"analytics": AnalyticsSettings(enabled=False)}))
    bars = published(lake, "from fct_indicator")
    assert bars["interval"].value_counts().to_dict() == {"1d": 31, "1w": 5}
    assert bars[["sma_20", "sma_50", "ema_12", "rsi_14", "price_change_pct"]].isna().all().all()
    assert published(lake, "from fct_alert").empty


def test_a_lake_with_nothing_in_it_publishes_empty_tables(lake: Lake) -> None:
    manifest = run_build(lake.settings).manifest
    assert manifest.balance.landed == 0
    assert published(lake, "from fct_indicator").empty


def test_a_build_with_nothing_new_publishes_nothing(lake: Lake) -> None:
    lake.land(daily("A", [1.0, 2.0]))
    assert run_build(lake.settings).manifest.number == run_build(lake.settings).manifest.number == 0
