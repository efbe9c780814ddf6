from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.parameters import BarParameters, IntervalName, parse_moment
from tickhouse.bar import INTERVALS


def test_every_known_interval_may_be_asked_for() -> None:
    assert get_args(IntervalName) == tuple(INTERVALS)


def test_a_time_without_a_zone_is_utc_and_another_zone_is_converted() -> None:
    assert parse_moment("2012-03-01") == date(2012, 3, 1)
    assert parse_moment("2012-03-01T14:30") == datetime(2012, 3, 1, 14, 30, tzinfo=UTC)
    assert parse_moment("2012-03-01T14:30:00-05:00") == datetime(2012, 3, 1, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "1330560000", "2012-13-01", "2012-3-1", "today", "9999-12-31T23:59:59-01:00"])
def test_what_is_no_iso_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 2012-03-01"):
        parse_moment(text)


@given(start=st.dates(), end=st.dates())
def test_a_selection_holds_whole_days_and_never_an_empty_range(start: date, end: date) -> None:
    asked = {"start": str(start), "end": str(end)}
    if start > end:
        with pytest.raises(ValueError, match="the end is before the start"):
            BarParameters.model_validate(asked)
        return
    selection = BarParameters.model_validate(asked).selection(None, None)
    assert selection.start == datetime(start.year, start.month, start.day, tzinfo=UTC)
    if end < date.max:
        assert selection.until == datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=1)
    else:
        assert selection.until is None
