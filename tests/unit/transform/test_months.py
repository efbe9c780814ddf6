"""Ranges of event months mean what people write."""

from __future__ import annotations

import pytest

from transform.months import MonthError, Months


def test_both_ends_are_included() -> None:
    months = Months.between("2008-11", "2009-02")
    assert list(months) == ["2008-11", "2008-12", "2009-01", "2009-02"]
    assert [month in months for month in ("2008-10", "2008-11", "2009-02", "2009-03")] == [False, True, True, False]
    assert (months.begin.isoformat(), months.last_begin.isoformat()) == ("2008-11-01T00:00:00+00:00", "2009-02-01T00:00:00+00:00")


def test_one_month_is_a_range() -> None:
    assert list(Months.between("1950-01", "1950-01")) == ["1950-01"]


@pytest.mark.parametrize("month", ["2008", "2008-13", "2008-1", "2008-01-01", "0000-01", "", "January"])
def test_what_is_no_month_is_refused_with_an_example(month: str) -> None:
    with pytest.raises(MonthError, match="such as 2008-01"):
        Months.between(month, "2009-01")


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(MonthError, match="2009-12 comes after 2008-01"):
        Months.between("2009-12", "2008-01")
