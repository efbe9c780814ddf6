from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Event
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from market_snapshot import publish_bars, stock_bars

from apps.api.main import create_app
from apps.api.parameters import MAX_LIMIT
from tickhouse.settings import INDICATORS, Settings
from tickhouse.storage import open_storage
from transform.snapshot.read import SnapshotReader

BARS = stock_bars()
SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
LAST_DAYS = st.dates(min_value=date(2012, 5, 1), max_value=date(2013, 3, 10))
JUNK = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.dates().map(str), st.datetimes().map(str))
NAMES = st.sampled_from(["limit", "offset", "symbol", "start", "end", "interval", "indicators", "other"])


@pytest.fixture(scope="module")
def api(market_settings: Settings) -> TestClient:
    return TestClient(create_app(market_settings), raise_server_exceptions=False)


def pages(api: TestClient, limit: int, **parameters: Any) -> list[dict[str, Any]]:
    """Every bar of the answer, a page after the other, until a page is short."""
    found: list[dict[str, Any]] = []
    while True:
        response = api.get("/data", params={**parameters, "limit": limit, "offset": len(found)})
        page = response.json()
        found += page["bars"]
        if len(page["bars"]) < limit:
            assert page["total"] == len(found)
            return found


@settings(max_examples=15, deadline=None)
@given(limit=st.integers(1, MAX_LIMIT), symbol=st.sampled_from([None, *SYMBOLS]))
def test_the_pages_together_are_the_whole_without_doubles(api: TestClient, limit: int, symbol: str | None) -> None:
    limit = max(limit, 400)  # smaller ones take a thousand requests; the next test has them
    chosen = {} if symbol is None else {"symbol": symbol}
    found = pages(api, limit, **chosen)
    keys = [(bar["symbol"], bar["interval"], bar["ts"]) for bar in found]
    expected = BARS if symbol is None else BARS[BARS["symbol"] == symbol]
    assert keys == sorted(set(keys))
    assert [bar["close"] for bar in found] == expected["close"].to_list()


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(1, 60), symbol=st.sampled_from(SYMBOLS), days=st.tuples(LAST_DAYS, LAST_DAYS).map(sorted))
def test_any_page_size_walks_the_same_filtered_bars(api: TestClient, limit: int, symbol: str, days: list[date]) -> None:
    start, end = days
    end = min(end, date.fromordinal(start.toordinal() + 60))
    found = pages(api, limit, symbol=symbol, start=str(start), end=str(end), interval="1d")
    dates = BARS["ts"].dt.date
    expected = BARS[(BARS["symbol"] == symbol) & (dates >= start) & (dates <= end)]
    assert [bar["ts"] for bar in found] == expected["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list()


@settings(max_examples=30, deadline=None)
@given(
    symbol=st.sampled_from(SYMBOLS),
    limit=st.integers(1, 4000),
    names=st.sets(st.sampled_from(INDICATORS), min_size=1),
    end=LAST_DAYS,
)
def test_indicators_are_the_tail_of_the_range(api: TestClient, symbol: str, limit: int, names: set[str], end: date) -> None:
    response = api.get(f"/indicators/{symbol}", params={"limit": limit, "indicators": ",".join(names), "end": str(end)})
    points = response.json()["points"]
    expected = BARS[(BARS["symbol"] == symbol) & (BARS["ts"] < pd.Timestamp(end, tz="UTC") + pd.Timedelta(days=1))].tail(limit)
    assert [point["ts"] for point in points] == expected["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list()
    assert all(set(point) == {"ts", "close", "is_closed", *names} for point in points)


@settings(max_examples=200, deadline=None)
@given(
    path=st.one_of(
        st.sampled_from(["/", "/health", "/stats", "/data", "/data-quality", "/symbols", "/symbol/IBM", "/indicators/IBM"]),
        st.text(min_size=1, max_size=12).map(lambda text: "/symbol/" + quote(text, safe="")),
        st.text(min_size=1, max_size=12).map(lambda text: "/indicators/" + quote(text, safe="")),
    ),
    query=st.dictionaries(NAMES, JUNK, max_size=3),
)
def test_no_request_whatever_is_answered_with_a_fault(api: TestClient, path: str, query: dict[str, str]) -> None:
    response = api.get(path, params=query)
    assert response.status_code in (200, 404, 422), response.text
    body = json.loads(response.text, parse_constant=pytest.fail)
    assert "snapshot" in body if response.status_code == 200 else body["message"]


def test_answers_stay_consistent_while_snapshots_are_published(settings: Settings) -> None:
    storage, bars, done = open_storage(settings), BARS[BARS["symbol"] == "FB"], Event()
    publish_bars(storage, bars.head(60))
    api = TestClient(create_app(settings))

    def read() -> int:
        answers = 0
        while not done.is_set():
            page = api.get("/data", params={"limit": 1000}).json()
            assert len(page["bars"]) == page["total"] == 60 + page["snapshot"]["number"]
            answers += 1
        return answers

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for extra in range(1, 11):
            publish_bars(storage, bars.head(60 + extra))
        done.set()
        assert all(reader.result() > 0 for reader in readers)


def test_a_pinned_snapshot_does_not_move(settings: Settings) -> None:
    storage, bars = open_storage(settings), BARS[BARS["symbol"] == "FB"]
    publish_bars(storage, bars.head(60))
    reader = SnapshotReader(storage)
    with reader.pin() as pinned:
        publish_bars(storage, bars.head(90))
        with reader.pin() as newer:
            assert pinned is not None
            assert newer is not None
            counts = [snapshot.query("select count(*) as bars from fct_indicator").to_pylist() for snapshot in (pinned, newer)]
    assert counts == [[{"bars": 60}], [{"bars": 90}]]


def test_a_lake_made_anew_is_seen_although_its_numbers_begin_again(settings: Settings) -> None:
    storage, bars = open_storage(settings), BARS[BARS["symbol"] == "FB"]
    api = TestClient(create_app(settings))
    for count in (60, 70):
        publish_bars(storage, bars.head(count))
    assert api.get("/health").json()["bars"] == 70
    settings.lake_path.rename(settings.lake_path.with_name("lost"))
    assert api.get("/health").json()["status"] == "waiting for data"
    publish_bars(storage, bars.head(80))
    assert api.get("/data").json()["total"] == 80
