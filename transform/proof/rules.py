"""Judging alert rules again at one bar, beside what was published of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transform.proof.equality import is_same
from transform.proof.explanation import Check, RuleOutcome

MEASURED = {
    "price_change": "price_change_pct",
    "volume_spike": "prior_mean_volume_20",
    "rsi_overbought": "rsi_14",
    "rsi_oversold": "rsi_14",
}
"""The rules, and the indicator that each looks at."""

_SIDES = {"above": "above", "below": "below", "either": "more than"}


def judge_rules(
    bar: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]],
    published: Sequence[Mapping[str, Any]],
    nulls: Mapping[str, str | None],
) -> tuple[RuleOutcome, ...]:
    """Each rule at a bar. `bar` has the columns that rules look at, `published` are its rows of `fct_alert`.

    `rules` has a row for each rule and severity, the highest rank first; `nulls` says why an indicator has no value.
    """
    raised = {alert["rule"]: alert for alert in published}
    return tuple(
        _judge(name, bar, [row for row in rules if row["rule"] == name], raised.get(name), nulls[column])
        for name, column in MEASURED.items()
        if any(row["rule"] == name for row in rules)
    )


def _judge(
    name: str, bar: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], raised: Mapping[str, Any] | None, null: str | None
) -> RuleOutcome:
    value = _measured(name, bar)
    crossed = next((step for step in steps if value is not None and _is_crossed(step, value)), None)
    fired = crossed if bar["is_closed"] else None
    step = fired or crossed or steps[-1]
    if fired is not None:
        said = f"{value:g} is {_side(step)}"
    elif crossed is not None:
        said = f"{value:g} is {_side(step)}, but the bar is not closed yet"
    elif value is None:
        said = null or "the volumes before it are all 0"
    else:
        said = f"{value:g} is not {_side(step)}"
    severity = None if fired is None else fired["severity"]
    expected = None if fired is None else (severity, value, step["threshold"])
    thresholds = ", ".join(f"{each['threshold']:g} ({each['severity']})" for each in reversed(steps))
    meaning = f"{steps[0]['description']}; the threshold is {thresholds}"
    told = _as_published(name, expected, raised)
    return RuleOutcome(name, meaning, fired is not None, severity, value, step["threshold"], said, told)


def _measured(name: str, bar: Mapping[str, Any]) -> float | None:
    """What the rule measures, in the order of operations of `fct_alert`."""
    if name != "volume_spike":
        return bar[MEASURED[name]]
    mean = bar["prior_mean_volume_20"]
    return 100 * bar["volume"] / mean if mean else None


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
