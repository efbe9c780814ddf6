from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.dashboard import wording
from tickhouse.bar import INTERVALS


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (1234.5, "1,234.50"), (0.000123456, "0.000123456"), (-2.0, "-2.00")])
def test_prices_keep_their_digits(value: float | None, text: str) -> None:
    assert wording.price(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (19_730_300, "19.7 M"), (4_350, "4.35 K"), (12.5, "12.5"), (2.1e12, "2.1 T"), (0, "0")]
)
def test_volumes_are_short(value: float | None, text: str) -> None:
    assert wording.compact(value) == text


@pytest.mark.parametrize(
    ("rule", "value", "text"),
    [("price_change", -12.35, "-12.3 %"), ("volume_spike", 283.4, "283 %"), ("rsi_oversold", 28.46, "28.5"), ("new", None, "–")],
)
def test_a_measure_has_its_rules_unit(rule: str, value: float | None, text: str) -> None:
    assert wording.measured(rule, value) == text


def test_a_time_of_day_is_only_told_of_bars_shorter_than_a_day() -> None:
    ts = datetime(2012, 3, 1, 14, 30, tzinfo=UTC)
    assert (wording.when(ts, "1d"), wording.when(ts, "1h"), wording.when(None, "1d")) == (
        "2012-03-01",
        "2012-03-01 14:30 UTC",
        "–",
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "under 1 s"), (43, "43 s"), (600, "10 min"), (10_800, "3 h"), (864_000, "10 days")]
)
def test_durations_use_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert wording.duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("interval", "derived_from", "is_closed", "text"),
    [
        ("1d", {None}, True, "Daily bars to 2013-02-25"),
        ("1w", {"1d"}, False, "Weekly bars derived from daily ones, to 2013-02-25 so far"),
        ("1d", {None, "1m", "1h"}, True, "Daily bars, some derived from 1-minute and hourly ones, to 2013-02-25"),
    ],
)
def test_bars_say_whether_they_are_derived_and_whether_the_last_is_closed(
    interval: str, derived_from: set[str | None], is_closed: bool, text: str
) -> None:
    assert wording.bars_text(interval, derived_from, datetime(2013, 2, 25, tzinfo=UTC), is_closed=is_closed) == text


def test_an_instrument_is_described_by_what_is_known_of_it() -> None:
    apple = {"symbol": "AAPL", "name": "Apple Inc.", "exchange": "Nasdaq", "country": None, "currency": "USD"}
    assert wording.describe(apple) == "Apple Inc. · Nasdaq · USD"
    assert wording.describe(dict.fromkeys(apple)) == ""


def test_every_known_interval_has_a_word() -> None:
    assert set(wording.INTERVALS) == set(INTERVALS)
