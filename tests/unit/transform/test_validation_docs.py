"""docs/validation.md names every rule, and says of each what the suite says."""

from __future__ import annotations

import re
from pathlib import Path

from tickhouse.bar import BAR_SCHEMA
from transform.validation.suite import batch_suite, fingerprint, row_suite, rule_meanings

PAGE = Path(__file__).parents[3] / "docs" / "validation.md"


def test_every_rule_is_there_with_its_meaning_and_no_other() -> None:
    told = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", PAGE.read_text()))
    assert told == rule_meanings()


def test_every_field_of_a_bar_that_may_be_missing_or_wrong_has_a_rule() -> None:
    rules = " ".join(rule_meanings())
    assert all(f"{field.name}_is" in rules for field in BAR_SCHEMA if field.nullable)


def test_words_are_no_part_of_what_rules_are_known_by() -> None:
    said = row_suite()
    for expectation in said.expectations:
        expectation.notes = "something else"
    assert fingerprint(batch_suite(), said) == fingerprint(batch_suite(), row_suite())


def test_another_threshold_is_another_rule() -> None:
    other = row_suite()
    next(each for each in other.expectations if each.configuration.kwargs.get("column") == "volume").mostly = 0.5
    assert fingerprint(batch_suite(), other) != fingerprint(batch_suite(), row_suite())
