"""What a visitor sees of one snapshot."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from market_snapshot import alert_table, indicator_table, stock_bars, weekly_bars
from playwright.sync_api import Locator, Page, expect
from served_pages import ServedPages
from visiting import go_to

from apps.dashboard.panes import INDICATOR_HEIGHT
from apps.dashboard.theme import DARK, LIGHT

PAINTED = """
canvases => {
  const counts = {};
  for (const canvas of canvases) {
    const {width, height} = canvas;
    if (!width || !height) continue;
    const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] < 255) continue;
      const color = "#" + [data[i], data[i + 1], data[i + 2]].map(part => part.toString(16).padStart(2, "0")).join("");
      counts[color] = (counts[color] || 0) + 1;
    }
  }
  return counts;
}
"""


def chart(page: Page) -> Locator:
    return page.frame_locator("iframe").locator("canvas")


def painted(page: Page) -> dict[str, int]:
    """How many pixels of each colour the chart shows, once it has drawn its candles."""
    chart(page).first.wait_for()
    page.wait_for_function("() => document.querySelector('iframe').contentDocument.body.dataset.lastBar !== undefined")
    colors: dict[str, int] = {}
    for _ in range(100):
        colors = chart(page).evaluate_all(PAINTED)
        if colors.get(LIGHT.up, 0) + colors.get(DARK.up, 0) > 100:
            break
        page.wait_for_timeout(50)
    return colors


def metric(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True)).get_by_test_id("stMetricValue")


def table(page: Page, number: int) -> Locator:
    """A table as a screen reader is told it."""
    return page.get_by_test_id("stDataFrame").nth(number).locator("canvas table")


def rows(page: Page, number: int) -> list[list[str]]:
    """The cells of a table, without its heading."""
    return [line.locator("td").all_text_contents() for line in table(page, number).locator("tbody tr").all()]


def legend(page: Page, label: str) -> Locator:
    """An overlay's name above the chart."""
    return page.get_by_test_id("stMarkdown").get_by_text(label, exact=True)


def choose(page: Page, name: str) -> None:
    page.get_by_role("combobox", name="Symbol").click()
    page.get_by_role("option", name=name).click()


@pytest.fixture
def visitor(page: Page, market_pages: ServedPages) -> Page:
    page.goto(market_pages.url)
    expect(page.get_by_role("heading", name="AAPL")).to_be_visible()
    return page


def test_the_chart_draws_candles_averages_volume_and_rsi(visitor: Page) -> None:
    colors = painted(visitor)
    for color in (LIGHT.up, LIGHT.down, LIGHT.sma_20, LIGHT.sma_50, LIGHT.ema_12, LIGHT.accent, LIGHT.warning):
        assert colors.get(color, 0) > 100, color
    expect(legend(visitor, "SMA 20")).to_be_visible()


def test_indicators_can_be_chosen_and_the_chart_grows_with_its_panes_and_keeps_its_zoom(visitor: Page) -> None:
    colors = painted(visitor)
    assert colors.get(LIGHT.ema_26, 0) == 0
    in_view = visitor.frames[-1].evaluate("() => ({...document.body.dataset})")
    frame = visitor.locator("iframe").bounding_box()
    assert frame is not None
    height = frame["height"]
    for name in ("EMA 26", "Bollinger 20, 2", "ATR 14"):
        visitor.get_by_role("button", name=name, exact=True).click()
        expect(visitor.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    expect(legend(visitor, "Bollinger 20, 2")).to_be_visible()
    visitor.wait_for_function(f"document.querySelector('iframe').clientHeight === {height + INDICATOR_HEIGHT}")
    assert painted(visitor).get(LIGHT.ema_26, 0) > 100
    assert visitor.frames[-1].evaluate("() => ({...document.body.dataset})") == in_view
    visitor.get_by_role("button", name="MACD 12, 26, 9", exact=True).click()
    visitor.wait_for_function(f"document.querySelector('iframe').clientHeight === {height}")


def test_another_symbol_brings_its_own_figures_and_chart(visitor: Page) -> None:
    before = painted(visitor)
    expect(metric(visitor, "Close")).to_have_text("56.14")
    choose(visitor, "IBM")
    expect(visitor.get_by_role("heading", name="IBM")).to_be_visible()
    expect(metric(visitor, "Close")).to_have_text("175.27")
    expect(visitor).to_have_url(re.compile("symbol=IBM"))
    for _ in range(100):
        if painted(visitor) != before:
            return
        visitor.wait_for_timeout(50)
    pytest.fail("the chart stayed as it was")


def test_the_choice_is_in_the_address_and_survives_a_reload_and_other_pages(visitor: Page) -> None:
    choose(visitor, "MSFT")
    visitor.get_by_role("radio", name="3M").click()
    expect(metric(visitor, "Close")).to_have_text("24.68")
    visitor.reload()
    expect(visitor.get_by_role("heading", name="MSFT")).to_be_visible()
    go_to(visitor, "Market")
    expect(visitor.get_by_role("heading", name="Market", exact=True)).to_be_visible()
    go_to(visitor, "Chart")
    expect(visitor.get_by_role("heading", name="MSFT")).to_be_visible()
    expect(visitor.get_by_role("radio", name="3M")).to_be_checked()


def test_prices_can_be_shown_as_traded_without_averages_of_adjusted_ones(visitor: Page) -> None:
    visitor.get_by_role("radio", name="As traded").click()
    expect(metric(visitor, "Close")).to_have_text("430.47")
    expect(visitor.get_by_text("averages of adjusted prices are left out")).to_be_visible()
    expect(legend(visitor, "SMA 20")).to_have_count(0)


def test_the_tables_hold_the_snapshots_newest_bars_and_alerts(visitor: Page) -> None:
    choose(visitor, "GOOG")
    expect(metric(visitor, "Close")).to_have_text("404.34")
    indicators = indicator_table(stock_bars().query("symbol == 'GOOG'"))
    newest = indicators.slice(indicators.num_rows - 1).to_pylist()[0]
    expect(table(visitor, 0)).to_contain_text("404.34")
    bar = rows(visitor, 0)[0]
    assert bar[0] == "2013-03-01"
    assert [float(cell) for cell in bar[4:6]] == pytest.approx([newest["basis_close"], newest["price_change_pct"]], abs=0.006)
    alerts = sorted(alert_table(indicators).to_pylist(), key=lambda alert: alert["ts"], reverse=True)
    expect(table(visitor, 1)).to_contain_text(f"{alerts[0]['ts']:%Y-%m-%d}")
    shown = rows(visitor, 1)
    assert [row[0] for row in shown[:3]] == [f"{alert['ts']:%Y-%m-%d}" for alert in alerts[:3]]
    assert shown[0][1:] == ["RSI overbought", "Low", f"{alerts[0]['value']:.1f}"]


def test_derived_bars_say_that_they_are_and_the_last_that_it_is_not_closed(visitor: Page) -> None:
    expect(visitor.get_by_text("(1w derived)")).to_have_count(0)
    choose(visitor, "IBM")
    expect(visitor.get_by_text("(1w derived)")).to_be_visible()
    expect(visitor.get_by_text("Daily bars to 2013-03-01;")).to_be_visible()
    visitor.get_by_role("radio", name="1w").click()
    expect(visitor.get_by_text("Weekly bars derived from daily ones, to 2013-02-25 so far;")).to_be_visible()
    expect(visitor).to_have_url(re.compile("interval=1w"))
    expect(table(visitor, 0)).to_contain_text("2013-02-25 so far")
    assert rows(visitor, 0)[1][0] == "2013-02-18"


def test_an_instrument_is_described_where_it_is_known(visitor: Page) -> None:
    expect(visitor.get_by_text("Apple Inc. · Nasdaq · US · USD")).to_be_visible()
    choose(visitor, "IBM")
    expect(visitor.get_by_role("heading", name="IBM")).to_be_visible()
    expect(visitor.get_by_text("Apple Inc.")).to_have_count(0)


def test_the_market_page_sums_up_everything(visitor: Page) -> None:
    go_to(visitor, "Market")
    expect(metric(visitor, "Symbols")).to_have_text("5")
    expect(metric(visitor, "Bars")).to_have_text("12,154")
    expect(metric(visitor, "Newest bar")).to_have_text("2013-03-01")
    expect(visitor.get_by_text("12,154 bars landed: 12,154 current")).to_be_visible()
    expect(visitor.get_by_text("679 coarser bars derived from them.")).to_be_visible()
    expect(metric(visitor, "AAPL")).to_have_text("430.47")
    symbols = visitor.get_by_test_id("stMetricLabel").filter(has_text=re.compile("^[A-Z]+$"))
    expect(symbols).to_have_text(["AAPL", "FB", "IBM", "GOOG", "MSFT"])
    expect(table(visitor, 0)).to_contain_text("MSFT")
    shown = rows(visitor, 0)
    assert [(row[0], row[5]) for row in shown] == [
        ("AAPL", "1d"), ("FB", "1d"), ("GOOG", "1d"), ("IBM", "1d"), ("IBM", "1w derived"), ("MSFT", "1d"),
    ]  # fmt: skip
    assert shown[0][1:5] == ["Apple Inc.", "Nasdaq", "US", "USD"]


def test_alerts_can_be_narrowed_to_a_severity_and_a_symbol(visitor: Page) -> None:
    daily = stock_bars()
    bars = pd.concat([daily, weekly_bars(daily.query("symbol == 'IBM'"))])
    alerts = alert_table(indicator_table(bars)).to_pylist()
    go_to(visitor, "Alerts")
    expect(visitor.get_by_text("The newest 1,000")).to_be_visible()
    visitor.get_by_role("button", name="High", exact=True).click()
    high = [alert for alert in alerts if alert["severity"] == "high"]
    expect(visitor.get_by_text(f"{len(high)} alerts.")).to_be_visible()
    expect(table(visitor, 0)).not_to_contain_text("Medium")
    assert {row[4] for row in rows(visitor, 0)} == {"High"}
    choose(visitor, "IBM")
    of_ibm = [alert for alert in high if alert["symbol"] == "IBM"]
    expect(visitor.get_by_text(f"{len(of_ibm)} alerts.")).to_be_visible()


def test_nothing_is_drawn_again_while_nothing_is_published(visitor: Page) -> None:
    chart(visitor).first.wait_for()
    expect(table(visitor, 1)).to_contain_text("2013-01-25")
    visitor.evaluate("document.querySelectorAll('.stMetric, iframe').forEach(element => element.dataset.kept = 'yes')")
    visitor.frames[-1].evaluate("document.querySelector('canvas').dataset.kept = 'yes'")
    told = visitor.get_by_test_id("stSidebar").get_by_text(re.compile("Published"))
    for _ in range(2):
        expect(told).not_to_have_text(told.inner_text(), timeout=70_000)  # after two minutes it tells minutes
    assert visitor.locator("[data-kept=yes]").count() == 6
    assert visitor.frames[-1].locator("canvas[data-kept=yes]").count() == 1


def test_a_dark_browser_gets_a_dark_chart(visitor: Page) -> None:
    visitor.emulate_media(color_scheme="dark")
    visitor.reload()
    expect(metric(visitor, "Close")).to_have_text("56.14")
    colors = painted(visitor)
    assert colors.get(DARK.up, 0) > 100
    assert colors.get(LIGHT.up, 0) == 0
