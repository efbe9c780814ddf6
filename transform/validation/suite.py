"""The Great Expectations suites a batch of landed bars is checked against, derived from the bar contract.

Each expectation's `meta` has the rule's name, and its `notes` say what the rule means.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tickhouse.bar import INTERVALS, LANDED_SCHEMA

if TYPE_CHECKING:
    import great_expectations as gx

PRICES = ("open", "high", "low", "close")
RULE = "rule"


def batch_suite() -> gx.ExpectationSuite:
    """What the batch as a whole must be; a failure blocks it."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    return gx.ExpectationSuite(
        name="landed_bars_batch",
        expectations=[
            gxe.ExpectTableColumnsToMatchSet(
                column_set=LANDED_SCHEMA.names,
                exact_match=False,
                **_rule("has_the_contract_columns", "every column of the bar contract is there"),
            ),
            gxe.ExpectTableRowCountToBeBetween(min_value=1, **_rule("has_rows", "there is a row at least")),
            *(
                gxe.ExpectColumnValuesToBeOfType(
                    column=name, type_="float64", **_rule(f"{name}_is_a_number", f"{name} is a column of numbers")
                )
                for name in (*PRICES, "volume")
            ),
        ],
    )


def row_suite() -> gx.ExpectationSuite:
    """What every row must be; one that fails is quarantined with the names of the rules it broke."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    def at_least(higher: str, lower: str, name: str, meaning: str) -> gxe.Expectation:
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=higher, column_B=lower, or_equal=True, ignore_row_if="either_value_is_missing", **_rule(name, meaning)
        )

    return gx.ExpectationSuite(
        name="landed_bars_row",
        expectations=[
            *(
                gxe.ExpectColumnValuesToNotBeNull(column=name, **_rule(f"{name}_is_given", f"{name} is not missing"))
                for name in (*PRICES, "volume")
            ),
            *(
                gxe.ExpectColumnValuesToBeBetween(
                    column=name, min_value=0, strict_min=True, **_rule(f"{name}_is_positive", f"{name}, if given, is above 0")
                )
                for name in (*PRICES, "adj_close")
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="volume", min_value=0, **_rule("volume_is_not_negative", "volume is 0 or more; fractions are possible")
            ),
            gxe.ExpectColumnValuesToBeInSet(
                column="interval",
                value_set=list(INTERVALS),
                **_rule("interval_is_known", f"interval is one of {', '.join(INTERVALS)}"),
            ),
            at_least("high", "low", "high_is_not_below_low", "high ≥ low"),
            at_least("high", "open", "open_is_not_above_high", "open ≤ high"),
            at_least("open", "low", "open_is_not_below_low", "open ≥ low"),
            at_least("high", "close", "close_is_not_above_high", "close ≤ high"),
            at_least("close", "low", "close_is_not_below_low", "close ≥ low"),
            at_least(
                "kafka_timestamp", "ts", "ts_is_not_in_the_future", "the bar begins no later than its message came to Kafka"
            ),
        ],
    )


def rule_of(configuration: Any) -> str:
    """The name of the rule that an expectation's configuration is of."""
    return configuration.meta[RULE]


def rule_meanings() -> dict[str, str]:
    """Each rule's meaning by its name: those of a batch first, then those of a row."""
    suites = (batch_suite(), row_suite())
    configurations = [expectation.configuration for suite in suites for expectation in suite.expectations]
    return {rule_of(configuration): str(configuration.notes) for configuration in configurations}


def fingerprint(*suites: gx.ExpectationSuite) -> str:
    """Twelve hexadecimal digits that change when any rule does, whatever words say of it."""
    rules: list[Any] = [[expectation.configuration.to_json_dict() for expectation in suite.expectations] for suite in suites]
    for suite in rules:
        for rule in suite:
            rule.pop("id", None)
            rule.pop("notes", None)
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]


def _rule(name: str, meaning: str) -> dict[str, Any]:
    return {"meta": {RULE: name}, "notes": meaning}
