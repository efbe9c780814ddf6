"""The seed describes the instruments that were promised, and nothing in it contradicts itself."""

from __future__ import annotations

import csv
from pathlib import Path
from zoneinfo import available_timezones

import pytest

import dbt_project

INDICES = ["000001.SS", "399001.SZ", "GDAXI", "GSPTSE", "HSI", "IXIC", "J203.JO", "N100", "N225", "NSEI", "NYA", "SSMI", "TWII"]
DEMO_STOCKS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.fixture(scope="module")
def instruments() -> list[dict[str, str]]:
    with (Path(dbt_project.__file__).parent / "seeds" / "instrument.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_world_indices_and_the_demos_stocks_are_described(instruments: list[dict[str, str]]) -> None:
    kinds = {row["symbol"]: row["kind"] for row in instruments}
    assert kinds == dict.fromkeys(INDICES, "index") | dict.fromkeys(DEMO_STOCKS, "stock")


def test_symbols_stand_in_order_once_each(instruments: list[dict[str, str]]) -> None:
    symbols = [row["symbol"] for row in instruments]
    assert symbols == sorted(set(symbols))


def test_every_field_is_filled_and_every_time_zone_known(instruments: list[dict[str, str]]) -> None:
    assert [row for row in instruments if not all(value and value == value.strip() for value in row.values())] == []
    assert {row["time_zone"] for row in instruments} <= available_timezones()


def test_what_one_exchange_says_of_itself_is_always_the_same(instruments: list[dict[str, str]]) -> None:
    places = {tuple(row[name] for name in ("exchange", "mic", "country", "currency", "time_zone")) for row in instruments}
    assert len({mic for _, mic, *_ in places}) == len({exchange for exchange, *_ in places}) == len(places)
