from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from market_snapshot import alert_table, indicator_table, stock_bars, weekly_bars, without_indicators

from apps.dashboard.panes import INDICATOR_PANES, OVERLAYS, Drawing, build_panes, has_values
from apps.dashboard.theme import DARK, LIGHT
from apps.market import RsiLevels
from tickhouse.settings import INDICATORS

DRAWING = Drawing(
    LIGHT,
    RsiLevels(70.0, 30.0),
    adjusted=True,
    overlays=tuple(OVERLAYS),
    panes=tuple(INDICATOR_PANES),
    is_intraday=False,
    visible_bars=252,
)


@pytest.fixture(scope="module")
def bars() -> pa.Table:
    return indicator_table(stock_bars().query("symbol == 'AAPL'"))


@pytest.fixture(scope="module")
def alerts(bars: pa.Table) -> pa.Table:
    return alert_table(bars).sort_by([("ts", "descending")])


def points(panes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [point for pane in panes for series in pane["series"] for point in series["data"]]


def test_every_value_is_a_number_and_a_missing_one_is_a_gap(bars: pa.Table, alerts: pa.Table) -> None:
    panes = build_panes(bars, alerts, DRAWING)
    json.dumps(panes, allow_nan=False)
    assert all(None not in point.values() for point in points(panes))
    sma_50 = panes[0]["series"][2]["data"]
    assert [len(point) for point in sma_50[:51]] == [1] * 49 + [2, 2]


def test_series_share_one_time_axis_in_order(bars: pa.Table, alerts: pa.Table) -> None:
    panes = build_panes(bars, alerts, DRAWING)
    times = [point["time"] for point in panes[0]["series"][0]["data"]]
    assert times == sorted(set(times))
    assert {point["time"] for point in points(panes)} == set(times)
    markers = [marker["time"] for marker in panes[0]["series"][0]["markers"]]
    assert markers == sorted(markers)
    assert set(markers) <= set(times)


def test_prices_are_drawn_on_the_basis_asked_for(bars: pa.Table, alerts: pa.Table) -> None:
    last = {name: bars[name][-1].as_py() for name in ("close", "basis_close")}
    for adjusted, name in ((True, "basis_close"), (False, "close")):
        panes = build_panes(bars, alerts, replace(DRAWING, adjusted=adjusted))
        assert panes[0]["series"][0]["data"][-1]["close"] == last[name]


def test_only_moves_within_the_bars_are_marked_and_a_long_range_shows_the_large_ones(bars: pa.Table, alerts: pa.Table) -> None:
    def markers(table: pa.Table, visible_bars: int) -> list[dict[str, Any]]:
        return build_panes(table, alerts, replace(DRAWING, visible_bars=visible_bars))[0]["series"][0]["markers"]

    moves = alerts.filter(pc.equal(alerts["rule"], "price_change"))
    assert len(markers(bars, 252)) == moves.num_rows
    assert len(markers(bars, 3000)) == pc.sum(pc.equal(moves["severity"], "high")).as_py()
    recent = bars.slice(bars.num_rows - 100)
    assert all(marker["time"] >= recent["ts"][0].as_py().timestamp() for marker in markers(recent, 100))


def test_each_indicator_asked_for_has_a_pane_of_its_own(bars: pa.Table, alerts: pa.Table) -> None:
    titles = [pane.get("title") for pane in build_panes(bars, alerts, DRAWING)]
    assert titles == [None, "Volume", "RSI 14", "MACD 12, 26, 9", "ATR 14"]
    alone = build_panes(bars, alerts, replace(DRAWING, panes=("atr_14",), overlays=()))
    assert [pane.get("title") for pane in alone] == [None, "Volume", "ATR 14"]
    assert alone[2]["series"][0]["data"][-1]["value"] == bars["atr_14"][-1].as_py()


def test_macd_is_drawn_with_its_signal_over_a_histogram_of_two_colours(bars: pa.Table, alerts: pa.Table) -> None:
    pane = build_panes(bars, alerts, replace(DRAWING, panes=("macd",)))[2]
    columns = ("macd_histogram", "macd", "macd_signal")
    for series, column in zip(pane["series"], columns, strict=True):
        assert [point.get("value") for point in series["data"]] == bars[column].to_pylist()
    histogram = [point for point in pane["series"][0]["data"] if "value" in point]
    assert {(point["value"] >= 0, point["color"]) for point in histogram} == {(True, LIGHT.up_faint), (False, LIGHT.down_faint)}


def test_bollinger_bands_are_two_lines_over_the_prices(bars: pa.Table, alerts: pa.Table) -> None:
    _candles, lower, upper = build_panes(bars, alerts, replace(DRAWING, overlays=("bollinger",)))[0]["series"]
    for line, column in ((lower, "bollinger_lower_20"), (upper, "bollinger_upper_20")):
        assert [point.get("value") for point in line["data"]] == bars[column].to_pylist()


def test_an_indicator_without_values_takes_no_pane(bars: pa.Table) -> None:
    plain = without_indicators(bars)
    assert not any(has_values(plain, name) for name in INDICATORS)
    panes = build_panes(plain, alert_table(bars).slice(0, 0), replace(DRAWING, overlays=()))
    assert [pane.get("title") for pane in panes] == [None, "Volume"]
    assert [len(pane["series"]) for pane in panes] == [1, 1]


def test_a_bar_that_is_not_closed_is_drawn_faint(alerts: pa.Table) -> None:
    weeks = indicator_table(weekly_bars(stock_bars().query("symbol == 'AAPL'")))
    *closed, last = build_panes(weeks, alerts.slice(0, 0), DRAWING)[0]["series"][0]["data"]
    assert not any("color" in candle for candle in closed)
    assert last["close"] < last["open"]
    assert last["color"] == last["wickColor"] == LIGHT.down_faint


def test_a_single_bar_is_a_chart(bars: pa.Table, alerts: pa.Table) -> None:
    panes = build_panes(bars.slice(bars.num_rows - 1), alerts, DRAWING)
    assert [[len(series["data"]) for series in pane["series"]] for pane in panes[2:]] == [[1, 1, 1], [1, 1, 1], [1]]


def test_a_palette_colours_every_part(bars: pa.Table, alerts: pa.Table) -> None:
    drawn = json.dumps(build_panes(bars, alerts, replace(DRAWING, palette=DARK)))
    assert not any(color in drawn for color in vars(LIGHT).values() if color not in vars(DARK).values())
