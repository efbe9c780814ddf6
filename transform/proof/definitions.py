"""What a published column is, in the words of the dbt models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

import dbt_project

_MODELS = Path(dbt_project.__file__).parent / "models"


@dataclass(frozen=True)
class Definition:
    """A column in a line; of an indicator the bar it begins at, counted from 1, and how many bars it looks at.

    An indicator without `window_bars` is carried on from the first bar of its series.
    """

    said: str
    first_bar: int | None = None
    window_bars: int | None = None

    @property
    def is_indicator(self) -> bool:
        return self.first_bar is not None


@cache
def definitions() -> Mapping[str, Definition]:
    """Every column of `fct_indicator`, and every indicator that `int_indicator` computes, by name."""
    described = {column["name"]: Definition(column["description"]) for column in _columns("marts/fct_indicator.yml")}
    computed = ((column["name"], column.get("config", {}).get("meta")) for column in _columns("intermediate/int_indicator.yml"))
    indicators = {
        name: Definition(meta["formula"], meta["first_bar"], meta.get("window_bars"))
        for name, meta in computed
        if meta is not None
    }
    return {**described, **indicators}


def _columns(file: str) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load((_MODELS / file).read_text(encoding="utf-8"))["models"][0]["columns"]
