"""Event months: the calendar months, in UTC, that bars begin in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class MonthError(ValueError):
    """What is no month, or a range that ends before it begins."""


def month_of(ts: datetime) -> str:
    """The month of a time, as `2008-01`."""
    return f"{ts.year:04d}-{ts.month:02d}"


@dataclass(frozen=True)
class Months:
    """The months from `first` to `last`, both included, each as `2008-01`."""

    first: str
    last: str

    @classmethod
    def between(cls, first: str, last: str) -> Self:
        """The range that people write so. Raises MonthError."""
        for month in (first, last):
            if _MONTH.fullmatch(month) is None or month.startswith("0000"):
                raise MonthError(f"{month!r} is no month: write a year and a month, such as 2008-01")
        if first > last:
            raise MonthError(f"the range ends before it begins: {first} comes after {last}")
        return cls(first, last)

    def __contains__(self, month: object) -> bool:
        return isinstance(month, str) and self.first <= month <= self.last

    def __iter__(self) -> Iterator[str]:
        for number in range(_number(self.first), _number(self.last) + 1):
            yield f"{number // 12:04d}-{number % 12 + 1:02d}"

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def begin(self) -> datetime:
        """Their first instant."""
        return datetime(int(self.first[:4]), int(self.first[5:]), 1, tzinfo=UTC)

    @property
    def last_begin(self) -> datetime:
        """The first instant of the last of them."""
        return datetime(int(self.last[:4]), int(self.last[5:]), 1, tzinfo=UTC)


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1
