"""The Great Expectations suites a batch of landed bars is checked against, derived from the bar contract."""

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
                column_set=LANDED_SCHEMA.names, exact_match=False, meta={RULE: "has_the_contract_columns"}
            ),
            gxe.ExpectTableRowCountToBeBetween(min_value=1, meta={RULE: "has_rows"}),
            *(
                gxe.ExpectColumnValuesToBeOfType(column=name, type_="float64", meta={RULE: f"{name}_is_a_number"})
                for name in (*PRICES, "volume")
            ),
        ],
    )


def row_suite() -> gx.ExpectationSuite:
    """What every row must be; one that fails is quarantined with the names of the rules it broke."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    def at_least(higher: str, lower: str, rule: str) -> gxe.Expectation:
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=higher, column_B=lower, or_equal=True, ignore_row_if="either_value_is_missing", meta={RULE: rule}
        )

    return gx.ExpectationSuite(
        name="landed_bars_row",
        expectations=[
            *(gxe.ExpectColumnValuesToNotBeNull(column=name, meta={RULE: f"{name}_is_given"}) for name in (*PRICES, "volume")),
            *(
                gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, strict_min=True, meta={RULE: f"{name}_is_positive"})
                for name in (*PRICES, "adj_close")
            ),
            gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=0, meta={RULE: "volume_is_not_negative"}),
            gxe.ExpectColumnValuesToBeInSet(column="interval", value_set=list(INTERVALS), meta={RULE: "interval_is_known"}),
            at_least("high", "low", "high_is_not_below_low"),
            at_least("high", "open", "open_is_not_above_high"),
            at_least("open", "low", "open_is_not_below_low"),
            at_least("high", "close", "close_is_not_above_high"),
            at_least("close", "low", "close_is_not_below_low"),
            at_least("kafka_timestamp", "ts", "ts_is_not_in_the_future"),
        ],
    )


def fingerprint(*suites: gx.ExpectationSuite) -> str:
    """Twelve hexadecimal digits that change when any rule does."""
    rules: list[Any] = [[expectation.configuration.to_json_dict() for expectation in suite.expectations] for suite in suites]
    for suite in rules:
        for rule in suite:
            rule.pop("id", None)
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]
