"""The alert rules' seed, the settings that override it and the page that explains it speak of the same rules."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args

import yaml

import dbt_project
from apps.dashboard.wording import RULES
from tickhouse.settings.groups import AlertRule, Severity
from transform.proof.rules import MEASURED

PROJECT = Path(dbt_project.__file__).parent
SEED = list(csv.DictReader((PROJECT / "seeds" / "alert_rule.csv").open(newline="")))
PAGE = (PROJECT.parent / "docs" / "alerts.md").read_text()


def test_every_rule_can_be_overridden_explained_and_shown() -> None:
    rules = list(dict.fromkeys(row["rule"] for row in SEED))
    assert rules == list(get_args(AlertRule)) == list(MEASURED) == list(RULES)


def test_each_line_of_the_seed_is_one_that_the_model_understands() -> None:
    for row in SEED:
        assert row["severity"] in get_args(Severity)
        assert row["direction"] in ("above", "below", "either")
        assert row["intervals"] in ("all", "1d")
        assert 1 <= int(row["look_back_bars"]) <= 252
        assert row["unit"] in ("per cent", "points", "price")
        assert "threshold" in row["description"]


def test_the_page_lists_each_rule_with_its_severity_and_look_back() -> None:
    for row in SEED:
        assert f"| `{row['rule']}` | {row['severity']} | " in PAGE
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{row['rule']}` | {row['severity']} | "))
        assert f" | {row['look_back_bars']} | " in line
        assert row["threshold"] == "0" or row["threshold"] in line


def test_every_rule_has_a_unit_test_that_fires_ties_and_warms_up() -> None:
    tests = yaml.safe_load((PROJECT / "models" / "marts" / "fct_alert.yml").read_text())["unit_tests"]
    for rule in get_args(AlertRule):
        own = next(test for test in tests if test["name"].startswith(rule))
        given = {row["symbol"] for each in own["given"] if each["input"] == "ref('int_bar')" for row in each["rows"]}
        raised = {row["symbol"] for row in own["expect"]["rows"]}
        assert {"WARM_UP"} <= given - raised, rule
        assert any(symbol.startswith("TIE") for symbol in given), rule
        assert raised, rule
        assert given - raised - {"TIE", "WARM_UP"}, rule


def test_split_ratios_are_round_and_their_factors_what_they_say() -> None:
    rows = list(csv.DictReader((PROJECT / "seeds" / "split_ratio.csv").open(newline="")))
    for row in rows:
        new, old = map(int, row["ratio"].split(":"))
        assert abs(float(row["price_factor"]) - old / new) < 1e-9
        assert abs(old / new - 1) > 0.25, "the model looks at no smaller move"
    assert len({row["ratio"] for row in rows}) == len(rows)
