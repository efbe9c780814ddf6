"""What an open page does while the lake changes under it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pandas as pd
import pytest
from market_snapshot import alert_table, indicator_table, publish_bars, publish_tables, stock_bars, without_indicators
from playwright.sync_api import Page, expect
from served_pages import ServedPages
from visiting import go_to

from tickhouse.settings import LoggingSettings, Settings
from tickhouse.storage import open_storage
from transform.marts import FCT_ALERT, FCT_INDICATOR

BARS = stock_bars()
IN_VIEW = "() => { const {firstBar, lastBar} = document.body?.dataset ?? {}; return [+firstBar, +lastBar]; }"
WATCH = """
() => {
  window.removed = [];
  const watched = [...document.querySelectorAll("h1, .stMetric, .stSelectbox, .stDataFrame, iframe")];
  const look = () => window.removed.push(...watched.filter(element => !element.isConnected).map(element => element.tagName));
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
  return watched.length;
}
"""
Serve = Callable[[Settings], ServedPages]


def all_but(last: int) -> pd.DataFrame:
    """Every symbol's bars without its `last` newest."""
    return BARS[BARS.groupby("symbol").cumcount(ascending=False) >= last]


def see_snapshot(page: Page, number: int) -> None:
    expect(page.get_by_test_id("stSidebar").get_by_text(f"Snapshot {number}", exact=True)).to_be_visible()


def close(page: Page) -> str:
    return page.get_by_test_id("stMetricValue").first.inner_text()


def in_view(page: Page, until: Callable[[list[float]], bool]) -> list[float]:
    """The chart's first and last bar in view, once `until` holds of them; NaN while its frame is being loaded."""
    found: list[float] = []
    for _ in range(400):
        found = page.frames[-1].evaluate(IN_VIEW)
        if until(found):
            return found
        page.wait_for_timeout(50)
    pytest.fail(f"in view are {found}")


def test_a_page_without_data_says_what_to_do_and_fills_by_itself(page: Page, serve: Serve, settings: Settings) -> None:
    page.goto(serve(settings).url)
    expect(page.get_by_role("heading", name="No data yet")).to_be_visible()
    expect(page.get_by_text("make demo")).to_be_visible()
    go_to(page, "Market")
    expect(page.get_by_role("heading", name="No data yet")).to_be_visible()
    publish_bars(open_storage(settings), all_but(0))
    expect(page.get_by_text("Biggest moves")).to_be_visible()
    see_snapshot(page, 0)


def test_new_bars_appear_by_themselves_and_leave_symbol_and_zoom_alone(page: Page, serve: Serve, settings: Settings) -> None:
    storage = open_storage(settings)
    publish_bars(storage, all_but(20))
    page.goto(serve(settings).url + "/?symbol=IBM")
    see_snapshot(page, 0)
    page.frame_locator("iframe").locator("canvas").first.wait_for()
    opened = in_view(page, lambda view: view[1] > 3000)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)
    assert page.evaluate(WATCH) == 10
    publish_bars(storage, all_but(15))
    see_snapshot(page, 1)
    followed = in_view(page, lambda view: view[1] > opened[1])
    assert followed == pytest.approx([opened[0] + 5, opened[1] + 5]), "a view of the newest bar follows new ones"

    box = page.locator("iframe").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 400, box["y"] + 150)
    page.mouse.wheel(0, -600)
    zoomed = in_view(page, lambda view: view[0] > followed[0] + 1)
    before = close(page)
    publish_bars(storage, all_but(10))
    see_snapshot(page, 2)
    expect(page.get_by_test_id("stMetricValue").first).not_to_have_text(before)
    assert in_view(page, lambda view: view[0] > 0) == zoomed, "a zoom away from the newest bar stays where it is"

    new_symbol = BARS[BARS["symbol"] == "FB"].assign(symbol="AAAA")
    publish_bars(storage, pd.concat([all_but(5), new_symbol]))
    see_snapshot(page, 3)
    expect(page.get_by_role("heading", name="IBM")).to_be_visible()
    assert in_view(page, lambda view: view[0] > 0) == zoomed
    assert page.evaluate("window.removed") == [], "what is shown changes in place, without flicker"


def test_a_lake_that_cannot_be_read_is_said_so_until_it_can(page: Page, serve: Serve, settings: Settings) -> None:
    storage = open_storage(settings)
    publish_bars(storage, all_but(10))
    damaged = next(settings.lake_path.glob("published/data/fct_indicator/*.parquet"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:1000])
    page.goto(serve(settings).url)
    expect(page.get_by_role("heading", name="The lake cannot be read")).to_be_visible()
    damaged.write_bytes(whole)
    expect(page.get_by_role("heading", name="AAPL")).to_be_visible()


def test_without_analytics_the_pages_show_bars_alone(page: Page, serve: Serve, settings: Settings) -> None:
    table = without_indicators(indicator_table(BARS[BARS["symbol"] == "FB"]))
    publish_tables(open_storage(settings), {FCT_INDICATOR: table, FCT_ALERT: alert_table(table)})
    page.goto(serve(settings).url)
    page.frame_locator("iframe").locator("canvas").first.wait_for()
    expect(page.get_by_text("SMA 20", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="RSI 14")).to_have_count(0)
    go_to(page, "Alerts")
    expect(page.get_by_text("No alert has fired.")).to_be_visible()
    go_to(page, "Market")
    expect(page.get_by_text("No symbol has two bars yet.")).to_be_visible()


def test_each_length_of_bars_keeps_its_own_range_and_raw_feeds_offer_no_adjusted_prices(
    page: Page, serve: Serve, settings: Settings
) -> None:
    daily = BARS[BARS["symbol"] == "FB"]
    times = pd.date_range("2020-01-01", periods=len(daily), freq="1h", tz="UTC")
    hourly = daily.drop(columns="adj_close").assign(symbol="BTC/USD", interval="1h", ts=times)
    publish_bars(open_storage(settings), pd.concat([daily, hourly]))
    page.goto(serve(settings).url + "/?symbol=FB&range=6M")
    expect(page.get_by_role("radio", name="6M")).to_be_checked()
    page.get_by_role("combobox", name="Symbol").click()
    page.get_by_role("option", name="BTC/USD").click()
    expect(page.get_by_text("this feed has no adjusted ones")).to_be_visible()
    expect(page.get_by_role("radio", name="As traded")).to_have_count(0)
    page.get_by_role("radio", name="1D").click()
    assert in_view(page, lambda view: view[1] - view[0] < 30)[1] == pytest.approx(len(hourly) + 2)
    page.get_by_role("combobox", name="Symbol").click()
    page.get_by_role("option", name="FB").click()
    expect(page.get_by_role("radio", name="6M")).to_be_checked()


def test_the_pages_end_on_sigterm_with_a_visitor_and_log_as_told(
    page: Page, serve: Serve, settings: Settings, complaints: list[str]
) -> None:
    publish_bars(open_storage(settings), all_but(0))
    pages = serve(settings.model_copy(update={"logging": LoggingSettings(format="json")}))
    page.goto(pages.url)
    expect(page.get_by_role("heading", name="AAPL")).to_be_visible()
    pages.process.send_signal(signal.SIGTERM)
    assert pages.process.wait(timeout=10) == 0
    page.goto("about:blank")
    complaints.clear()  # the page rightly held against its server that it was gone
    log = pages.log.read_text()
    assert '"event": "pages start"' in log
    assert "Traceback" not in log
