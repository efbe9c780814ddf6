from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from market_snapshot import (
    alert_table,
    indicator_table,
    instrument_table,
    publish_bars,
    publish_tables,
    stock_bars,
    without_indicators,
)

from apps.api.dependencies import PUBLISHED_HEADER, SNAPSHOT_HEADER
from apps.api.main import create_app
from tickhouse.settings import INDICATORS, Settings
from tickhouse.storage import open_storage
from transform.marts import FCT_ALERT, FCT_ALERT_SCHEMA, FCT_INDICATOR, FCT_INDICATOR_SCHEMA
from transform.snapshot.read import SnapshotReader

PATHS = {"/", "/health", "/stats", "/data", "/data-quality", "/symbols", "/symbol/{symbol}", "/indicators/{symbol}"}
REQUESTS = ["/", "/health", "/stats", "/data", "/data-quality", "/symbols", "/symbol/AAPL", "/indicators/AAPL"]


@pytest.fixture(scope="module")
def api(market_settings: Settings) -> TestClient:
    return TestClient(create_app(market_settings))


@pytest.fixture
def empty_api(settings: Settings) -> TestClient:
    """An API over `settings`' lake, in which nothing has been published."""
    return TestClient(create_app(settings))


def get(api: TestClient, path: str, **parameters: Any) -> dict[str, Any]:
    response = api.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def test_there_are_exactly_the_eight_endpoints_and_their_docs(api: TestClient) -> None:
    assert set(api.get("/openapi.json").json()["paths"]) == PATHS
    assert api.get("/docs").status_code == 200


def test_the_root_links_to_every_endpoint(api: TestClient) -> None:
    root = get(api, "/")
    assert root["name"] == "tickhouse"
    assert set(root["links"].values()) >= PATHS - {"/"}


@pytest.mark.parametrize("path", REQUESTS)
def test_every_answer_names_the_one_snapshot_it_was_read_from(api: TestClient, path: str) -> None:
    response = api.get(path)
    snapshot = response.json()["snapshot"]
    assert response.headers[SNAPSHOT_HEADER] == str(snapshot["number"]) == "0"
    assert response.headers[PUBLISHED_HEADER] == snapshot["published_at"]
    assert snapshot["published_at"].endswith("Z")


def test_an_error_names_its_snapshot_too(api: TestClient) -> None:
    assert api.get("/data", params={"symbol": "NONE"}).headers[SNAPSHOT_HEADER] == "0"


def test_bars_are_served_as_they_were_published(api: TestClient) -> None:
    published = stock_bars()
    page = get(api, "/data", limit=3, offset=3269)
    assert page["total"] == len(published)
    expected = published.iloc[3269:3272]
    assert [bar["symbol"] for bar in page["bars"]] == ["AAPL", "FB", "FB"]
    assert [bar["ts"] for bar in page["bars"]] == ["2013-03-01T00:00:00Z", "2012-05-18T00:00:00Z", "2012-05-21T00:00:00Z"]
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        assert [bar[name] for bar in page["bars"]] == expected[name].to_list()


def test_start_and_end_are_inclusive_dates_or_times(api: TestClient) -> None:
    def days(**bounds: str) -> list[str]:
        return [bar["ts"][:10] for bar in get(api, "/data", symbol="IBM", **bounds)["bars"]]

    assert days(start="2013-02-27", end="2013-02-28") == ["2013-02-27", "2013-02-28"]
    assert days(start="2013-02-28T00:00:00Z") == ["2013-02-28", "2013-03-01"]
    assert days(start="2013-02-28T00:00:00.000001") == ["2013-03-01"]
    assert days(start="2013-02-28", end="2013-03-01T01:00:00+02:00") == ["2013-02-28"]
    assert days(start="2013-02-27", end="2013-02-28T00:00:00Z") == ["2013-02-27", "2013-02-28"]
    assert days(start="0001-01-01", end="0001-01-01") == []
    assert days(start="2013-03-01", end="9999-12-31") == ["2013-03-01"]


def test_stats_add_up(api: TestClient) -> None:
    stats = get(api, "/stats")
    assert (stats["symbols"], stats["bars"]) == (5, 12_154)
    assert (stats["first_ts"], stats["last_ts"]) == ("2000-03-01T00:00:00Z", "2013-03-01T00:00:00Z")
    assert stats["bars_by_interval"] == [{"interval": "1d", "bars": 12_154, "derived_bars": 0}]
    assert sum(count["alerts"] for count in stats["alerts_by_rule"]) == stats["alerts"] > 0
    balance = stats["balance"]
    assert balance["landed"] == balance["current"] + balance["superseded"] + balance["quarantined"] == 12_154
    assert stats["seconds_to_publish"] >= 0


def test_symbols_come_with_their_span_and_last_bar(api: TestClient) -> None:
    symbols = get(api, "/symbols")["symbols"]
    assert [row["symbol"] for row in symbols] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    facebook = symbols[1]
    assert (facebook["bars"], facebook["first_ts"], facebook["close"]) == (196, "2012-05-18T00:00:00Z", 27.78)


def test_an_instrument_is_described_where_it_is_known_and_null_elsewhere(api: TestClient) -> None:
    apple, facebook = get(api, "/symbols")["symbols"][:2]
    described = instrument_table().to_pylist()[0]
    assert {name: apple[name] for name in described} == described
    assert {name: facebook[name] for name in described} == dict.fromkeys(described) | {"symbol": "FB"}
    for symbol, row in (("AAPL", apple), ("FB", facebook)):
        summary = get(api, f"/symbol/{symbol}")
        assert {name: summary[name] for name in described} == {name: row[name] for name in described}


def test_a_symbol_is_summed_up_by_its_newest_bar_its_year_and_its_alerts(api: TestClient) -> None:
    frame = indicator_table(stock_bars()).to_pandas().query("symbol == 'IBM'")
    summary = get(api, "/symbol/IBM")
    assert summary["interval"] == "1d"
    assert summary["latest"]["ts"] == "2013-03-01T00:00:00Z"
    assert summary["latest"]["rsi_14"] == pytest.approx(frame["rsi_14"].iloc[-1])
    year = frame[frame["ts"] > frame["ts"].max() - pd.Timedelta(days=364)]
    found = summary["fifty_two_weeks"]
    assert (found["bars"], found["high"], found["low"]) == (len(year), year["basis_high"].max(), year["basis_low"].min())
    assert found["high_at"] == year.loc[year["basis_high"].idxmax(), "ts"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found["change_pct"] == pytest.approx(100 * (year["basis_close"].iloc[-1] / year["basis_close"].iloc[0] - 1))
    times = [alert["ts"] for alert in summary["alerts"]]
    assert len(times) == 10
    assert times == sorted(times, reverse=True)


def test_indicators_are_the_newest_in_the_order_of_time(api: TestClient) -> None:
    frame = indicator_table(stock_bars()).to_pandas().query("symbol == 'MSFT'").tail(5)
    series = get(api, "/indicators/MSFT", limit=5)
    assert series["indicators"] == list(INDICATORS)
    assert series["price_basis"] == "adjusted"
    for name in INDICATORS:
        assert [point[name] for point in series["points"]] == pytest.approx(frame[name].to_list())
    assert [point["close"] for point in series["points"]] == frame["basis_close"].to_list()


@pytest.mark.parametrize("asked", [["rsi_14,sma_20"], ["rsi_14", "sma_20"], ["sma_20", "rsi_14", "sma_20"]])
def test_only_the_indicators_asked_for_are_sent(api: TestClient, asked: list[str]) -> None:
    series = get(api, "/indicators/AAPL", indicators=asked, limit=1)
    assert series["indicators"] == ["sma_20", "rsi_14"]
    assert set(series["points"][0]) == {"ts", "close", "is_closed", "sma_20", "rsi_14"}


def test_warm_up_is_null(api: TestClient) -> None:
    points = get(api, "/indicators/AAPL", end="2000-03-31", limit=10_000)["points"]
    assert [point["sma_20"] is None for point in points] == [True] * 19 + [False] * (len(points) - 19)


@pytest.mark.parametrize(
    "path", ["/data?symbol=NONE", "/data-quality?symbol=NONE", "/symbol/NONE", "/indicators/NONE", "/data?symbol=aapl' or 1=1 --"]
)
def test_an_unknown_symbol_is_a_404_that_says_where_to_look(api: TestClient, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 404
    assert response.json()["error"] == "unknown_symbol"
    assert "GET /symbols" in response.json()["message"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/data?limit=0", "limit"),
        ("/data?limit=10001", "limit"),
        ("/data?limit=many", "limit"),
        ("/data?offset=-1", "offset"),
        ("/data?offset=99999999999999999999", "offset"),
        ("/data?symbol=", "symbol"),
        ("/data?interval=2d", "interval"),
        ("/data?start=yesterday", "start"),
        ("/data?start=20120301000000", "start"),
        ("/data?end=2012-02-30", "end"),
        ("/data?start=0001-01-01T00:00:00%2B23:00", "start"),
        ("/data?start=2012-03-02&end=2012-03-01", "end"),
        ("/data?start=2012-03-01T00:00:01Z&end=2012-03-01T00:00:00Z", "end"),
        ("/data?symbl=AAPL", "symbl"),
        ("/indicators/AAPL?limit=0", "limit"),
        ("/indicators/AAPL?indicators=sma_21", "indicators"),
        ("/indicators/AAPL?start=2012-03-02&end=2012-03-01", "end"),
        ("/symbol/AAPL?interval=daily", "interval"),
        ("/data-quality?start=2012-03-02&end=2012-02-01", "end"),
        ("/data-quality?derived=true", "derived"),
        ("/symbols?limit=1", "limit"),
        ("/health?verbose=1", "verbose"),
    ],
)
def test_a_bad_parameter_is_a_422_that_names_it(api: TestClient, path: str, parameter: str) -> None:
    response = api.get(path)
    assert response.status_code == 422
    body = response.json()
    assert body["error"] == "bad_parameter"
    assert [problem["parameter"] for problem in body["problems"]] == [parameter]
    assert parameter in body["message"]


def test_a_path_nobody_serves_and_a_method_nobody_allows_say_so(api: TestClient) -> None:
    assert api.get("/bars").json()["error"] == "not_found"
    assert api.post("/data").json()["error"] == "method_not_allowed"


def test_before_the_first_publication_lists_are_empty_and_values_null(empty_api: TestClient) -> None:
    assert get(empty_api, "/health")["status"] == "waiting for data"
    assert get(empty_api, "/data") == {"snapshot": None, "total": 0, "limit": 100, "offset": 0, "bars": []}
    assert get(empty_api, "/data", symbol="AAPL")["bars"] == []
    assert get(empty_api, "/symbols")["symbols"] == []
    assert get(empty_api, "/indicators/AAPL")["points"] == []
    assert get(empty_api, "/stats")["bars"] == 0
    summary = get(empty_api, "/symbol/AAPL")
    assert (summary["latest"], summary["fifty_two_weeks"], summary["alerts"]) == (None, None, [])
    assert SNAPSHOT_HEADER not in empty_api.get("/").headers


def test_a_snapshot_without_bars_is_no_data_either(empty_api: TestClient, settings: Settings) -> None:
    publish_tables(open_storage(settings), {FCT_INDICATOR: FCT_INDICATOR_SCHEMA.empty_table()})
    assert get(empty_api, "/health")["status"] == "waiting for data"
    assert get(empty_api, "/symbol/AAPL")["latest"] is None
    assert get(empty_api, "/data", symbol="AAPL")["bars"] == []
    assert get(empty_api, "/stats")["first_ts"] is None


def test_data_appears_as_soon_as_it_is_published(empty_api: TestClient, settings: Settings) -> None:
    storage, bars = open_storage(settings), stock_bars().query("symbol == 'FB'")
    for count in (100, 196):
        publish_bars(storage, bars.head(count))
        assert get(empty_api, "/health")["bars"] == count
        assert get(empty_api, "/data", symbol="FB", limit=10_000)["total"] == count


def test_what_is_not_a_number_leaves_as_null(empty_api: TestClient, settings: Settings) -> None:
    bars = stock_bars().query("symbol == 'FB'").head(30).assign(volume=[math.nan, math.inf, -math.inf] * 10)
    publish_bars(open_storage(settings), bars)
    for path in ("/data", "/symbol/FB", "/indicators/FB"):
        json.loads(empty_api.get(path).text, parse_constant=pytest.fail)
    assert {bar["volume"] for bar in get(empty_api, "/data")["bars"]} == {None}


def test_without_analytics_bars_are_served_and_indicators_are_null(empty_api: TestClient, settings: Settings) -> None:
    table = without_indicators(indicator_table(stock_bars().query("symbol == 'FB'")))
    publish_tables(open_storage(settings), {FCT_INDICATOR: table})
    point = get(empty_api, "/indicators/FB", limit=1)["points"][0]
    assert {point[name] for name in INDICATORS} == {None}
    assert get(empty_api, "/symbol/FB")["alerts"] == []
    assert get(empty_api, "/stats")["alerts"] == 0


def test_intervals_are_kept_apart_and_a_symbol_may_hold_a_slash(empty_api: TestClient, settings: Settings) -> None:
    daily = stock_bars().query("symbol == 'FB'").head(40).assign(symbol="BTC/USD")
    hourly = daily.assign(interval="1h", close=daily["close"] * 2, adj_close=math.nan)
    publish_bars(open_storage(settings), pd.concat([daily, hourly]))
    summary = get(empty_api, "/symbol/BTC%2FUSD")
    assert (summary["interval"], summary["intervals"]) == ("1d", ["1d", "1h"])
    assert get(empty_api, "/symbol/BTC/USD", interval="1h")["latest"]["price_basis"] == "raw"
    assert get(empty_api, "/data", symbol="BTC/USD", interval="1h")["total"] == 40
    assert get(empty_api, "/data", symbol="BTC/USD")["total"] == 80
    assert get(empty_api, "/indicators/BTC/USD", interval="1m")["points"] == []


def test_alerts_that_were_never_published_are_none(empty_api: TestClient, settings: Settings) -> None:
    tables = {FCT_INDICATOR: indicator_table(stock_bars().query("symbol == 'FB'")), FCT_ALERT: FCT_ALERT_SCHEMA.empty_table()}
    publish_tables(open_storage(settings), tables)
    assert get(empty_api, "/symbol/FB")["alerts"] == []


def test_a_lake_that_cannot_be_read_is_a_503_that_says_so(api: TestClient, market_settings: Settings) -> None:
    class Unreachable:
        def uri(self, key: str) -> str:
            return f"s3://lake/{key}"

        def list_after(self, folder: str, after: str = "") -> None:
            raise PermissionError("access denied")

    app = create_app(market_settings)
    app.state.reader = SnapshotReader(Unreachable())  # type: ignore[arg-type]
    for path in REQUESTS:
        response = TestClient(app).get(path)
        assert response.status_code == 503
        assert response.json()["error"] == "unavailable"
        assert "s3://lake/published: access denied" in response.json()["message"]


def test_a_damaged_file_is_a_503_and_no_half_answer(empty_api: TestClient, settings: Settings) -> None:
    publish_bars(open_storage(settings), stock_bars().query("symbol == 'FB'"))
    for file in Path(settings.lake_path).glob("published/data/fct_indicator/*.parquet"):
        file.write_bytes(file.read_bytes()[:1000])
    assert empty_api.get("/data").status_code == 503


def test_alert_thresholds_and_values_are_served_in_one_unit(api: TestClient) -> None:
    alerts = pa.Table.to_pylist(alert_table(indicator_table(stock_bars())))
    newest = max((alert for alert in alerts if alert["symbol"] == "AAPL"), key=lambda alert: alert["ts"])
    served = get(api, "/symbol/AAPL")["alerts"][0]
    assert datetime.fromisoformat(served["ts"]) == newest["ts"].astimezone(UTC)
    assert (served["value"], served["threshold"]) == (newest["value"], newest["threshold"])
