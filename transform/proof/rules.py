"""Judging alert rules again at one bar, beside what was published of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transform.proof.equality import is_same
from transform.proof.explanation import Check, RuleOutcome

MEASURED = {
    "price_change": "price_change_pct",
    "volume_spike": "prior_mean_volume_20",
    "rsi_overbought": "rsi_14",
    "rsi_oversold": "rsi_14",
    "sma_cross_up": "sma_20",
    "sma_cross_down": "sma_20",
    "macd_cross_up": "macd_histogram",
    "macd_cross_down": "macd_histogram",
    "bollinger_break_up": "bollinger_upper_20",
    "bollinger_break_down": "bollinger_lower_20",
    "high_52_week": "basis_high",
    "low_52_week": "basis_low",
}
"""The rules, and the column that each looks at."""

_SIDES = {"above": "above", "below": "below", "either": "more than"}
_NOTHING_TO_MEASURE = {
    "volume_spike": "the volumes before it are all 0",
    "sma_cross_up": "sma_20 and sma_50 do not cross at this bar",
    "macd_cross_up": "macd and its signal do not cross at this bar",
    "bollinger_break_up": "the close does not come above the upper band at this bar",
    "bollinger_break_down": "the close does not come below the lower band at this bar",
}
_NOTHING_TO_MEASURE |= {f"{name}_cross_down": _NOTHING_TO_MEASURE[f"{name}_cross_up"] for name in ("sma", "macd")}


@dataclass(frozen=True)
class JudgedBar:
    """What rules look at: the published row with the signals at its bar, why columns of it are null, and its number.

    `suspicion` says why the bar raises no alert at all, None where it may.
    """

    row: Mapping[str, Any]
    nulls: Mapping[str, str | None]
    number: int | None
    suspicion: str | None = None


def judge_rules(
    bar: JudgedBar, rules: Sequence[Mapping[str, Any]], published: Sequence[Mapping[str, Any]]
) -> tuple[RuleOutcome, ...]:
    """Each rule in force at a bar; `published` are its rows of `fct_alert`.

    `rules` are rows of `dim_alert_rule`, one for each rule and severity, the highest rank first.
    """
    raised = {alert["rule"]: alert for alert in published}
    steps = {name: [row for row in rules if row["rule"] == name] for name in MEASURED}
    return tuple(_judge(name, bar, of_rule, raised.get(name)) for name, of_rule in steps.items() if of_rule)


def _judge(name: str, bar: JudgedBar, steps: Sequence[Mapping[str, Any]], raised: Mapping[str, Any] | None) -> RuleOutcome:
    value = _MEASURES[name](bar.row)
    crossed = next((step for step in steps if value is not None and _is_crossed(step, value)), None)
    silent = "the bar is not closed yet" if not bar.row["is_closed"] else bar.suspicion
    fired = crossed if silent is None else None
    step = fired or crossed or steps[-1]
    if fired is not None:
        said = f"{value:g} is {_side(step)}"
    elif crossed is not None:
        said = f"{value:g} is {_side(step)}, but {silent}"
    elif value is None:
        said = _why_no_value(name, bar, step)
    else:
        said = f"{value:g} is not {_side(step)}"
    severity = None if fired is None else fired["severity"]
    expected = None if fired is None else (severity, value, step["threshold"])
    thresholds = ", ".join(f"{each['threshold']:g} ({each['severity']})" for each in reversed(steps))
    meaning = f"{steps[0]['description']}; the threshold is {thresholds}"
    told = _as_published(name, expected, raised)
    return RuleOutcome(name, meaning, fired is not None, severity, value, step["threshold"], said, told)


def _why_no_value(name: str, bar: JudgedBar, step: Mapping[str, Any]) -> str:
    before = step["look_back_bars"]
    if (null := bar.nulls.get(MEASURED[name])) is not None and bar.row.get(MEASURED[name]) is None:
        return null
    if bar.number is not None and bar.number <= before:
        return f"warm-up: this is bar {bar.number} of its series, and the rule looks at {before} bars before"
    return _NOTHING_TO_MEASURE.get(name, "settings show no indicators")


def _percent_above(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else 100 * (one / other - 1)


def _of_mean_volume(bar: Mapping[str, Any]) -> float | None:
    mean = bar["prior_mean_volume_20"]
    return 100 * bar["volume"] / mean if mean else None


def _sma_gap(bar: Mapping[str, Any]) -> float | None:
    return _percent_above(bar["sma_20"], bar["sma_50"]) if bar["sma_cross"] else None


def _macd_gap(bar: Mapping[str, Any]) -> float | None:
    return bar["macd_histogram"] if bar["macd_cross"] else None


def _above_band(bar: Mapping[str, Any]) -> float | None:
    return _percent_above(bar["basis_close"], bar["bollinger_upper_20"]) if bar["bollinger_break"] == 1 else None


def _below_band(bar: Mapping[str, Any]) -> float | None:
    return _percent_above(bar["basis_close"], bar["bollinger_lower_20"]) if bar["bollinger_break"] == -1 else None


_MEASURES: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "price_change": lambda bar: bar["price_change_pct"],
    "volume_spike": _of_mean_volume,
    "rsi_overbought": lambda bar: bar["rsi_14"],
    "rsi_oversold": lambda bar: bar["rsi_14"],
    "sma_cross_up": _sma_gap,
    "sma_cross_down": _sma_gap,
    "macd_cross_up": _macd_gap,
    "macd_cross_down": _macd_gap,
    "bollinger_break_up": _above_band,
    "bollinger_break_down": _below_band,
    "high_52_week": lambda bar: _percent_above(bar["basis_high"], bar["prior_high_252"]),
    "low_52_week": lambda bar: _percent_above(bar["basis_low"], bar["prior_low_252"]),
}
"""What each measures, in the order of operations of `fct_alert`."""


def _is_crossed(step: Mapping[str, Any], value: float) -> bool:
    threshold = step["threshold"]
    return {"above": value > threshold, "below": value < threshold, "either": abs(value) > threshold}[step["direction"]]


def _side(step: Mapping[str, Any]) -> str:
    return f"{_SIDES[step['direction']]} {step['threshold']:g}{' either way' if step['direction'] == 'either' else ''}"


def _as_published(name: str, expected: tuple[Any, ...] | None, raised: Mapping[str, Any] | None) -> Check:
    if expected is None or raised is None:
        holds = expected is None and raised is None
        if holds:
            return Check(f"no alert {name} is published", True)
        wrong = "is not published, though its rule fires" if raised is None else "is published, though its rule does not fire"
        return Check(f"the alert {name} {wrong}", False)
    told = tuple(raised[field] for field in ("severity", "value", "threshold"))
    holds = all(is_same(one, other) for one, other in zip(expected, told, strict=True))
    if holds:
        return Check(f"the alert {name} is published so", True)
    return Check(f"the alert {name} is published as {told}, and its rule gives {expected}", False)
