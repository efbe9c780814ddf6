"""Why a published column is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transform.proof.definitions import Definition

_SHOWN_WITH = {"prior_mean_volume_20": "mean_volume_20"}


def why_null(
    column: str, definition: Definition, bar_number: int | None, chosen: Sequence[str], bar: Mapping[str, Any]
) -> str | None:
    """Why the column of the bar would be null; None when it has no reason to be.

    `bar_number` counts the bar in its series from 1, `chosen` are the indicators that the published build shows, and `bar` is the
    bar's row of `fct_indicator`.
    """
    if not definition.is_indicator:
        return _of_a_bar(column, bar)
    if not chosen:
        return "analytics was off when it was published (analytics.enabled)"
    if _SHOWN_WITH.get(column, column) not in chosen:
        return "analytics.indicators leaves it out"
    if bar_number is not None and definition.first_bar is not None and bar_number < definition.first_bar:
        return f"warm-up: this is bar {bar_number} of its series, and {column} begins at bar {definition.first_bar}"
    if column == "rsi_14":
        return "the price has never moved: there is neither a gain nor a loss"
    return None


def _of_a_bar(column: str, bar: Mapping[str, Any]) -> str | None:
    if column == "derived_from":
        return "the bar landed"
    if column == "adj_close":
        derived = "not every bar that it is made of carries one"
        return "the feed carries none" if bar["derived_from"] is None else derived
    return None
