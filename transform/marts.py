"""Names and row types of what is published. One name all the way: dbt model, Dagster asset, published table."""

from __future__ import annotations

import pyarrow as pa

from tickhouse.settings import INDICATORS

_TS = pa.timestamp("us", tz="UTC")

FCT_INDICATOR = "fct_indicator"
"""One row per (symbol, interval, ts): the bar, its price basis, and the indicators as of its close."""

FCT_ALERT = "fct_alert"
"""One row per (symbol, interval, ts, rule) that fired."""

FCT_QUALITY_EVENT = "fct_quality_event"
"""One row per (symbol, interval, ts, kind) of what looks wrong with the data: suspected splits."""

FCT_DATA_QUALITY = "fct_data_quality"
"""One row per (symbol, interval, month): how many bars landed, which of them count and why the others do not, what is missing."""

FCT_BATCH_QUALITY = "fct_batch_quality"
"""One row per batch, the newest 1,000 by when they were validated: how many bars, how many failed, by which rules."""

ALERT_EVENT = "alert_event"
"""One row per alert and revision: the ledger of what became of alerts. It is appended to by publishing, and is no dbt model."""

DIM_ALERT_RULE = "dim_alert_rule"
"""One row per symbol, alert rule and severity: the rules in force; `EVERY_SYMBOL` is all that have no row of their own."""

EVERY_SYMBOL = "*"

DIM_INSTRUMENT = "dim_instrument"
"""One row per instrument that is described; one that has bars may be missing."""

FCT_INDICATOR_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", _TS),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("adj_close", pa.float64()),
        ("volume", pa.float64()),
        ("price_basis", pa.string()),  # 'adjusted' where the feed carries adj_close, else 'raw'
        ("basis_open", pa.float64()),  # prices on that basis: what indicators, alerts and charts use
        ("basis_high", pa.float64()),
        ("basis_low", pa.float64()),
        ("basis_close", pa.float64()),
        *((name, pa.float64()) for name in INDICATORS),  # null during warm-up
        ("source", pa.string()),
        ("derived_from", pa.string()),  # the finer interval; null for a landed bar
        ("is_closed", pa.bool_()),
        ("change_seq", pa.int64()),
    ]
)

FCT_ALERT_SCHEMA = pa.schema(
    [
        ("alert_id", pa.string()),
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", _TS),
        ("rule", pa.string()),  # one of dim_alert_rule
        ("severity", pa.string()),  # low, medium, high
        ("value", pa.float64()),  # what the rule measured, in the threshold's unit
        ("threshold", pa.float64()),
        ("change_seq", pa.int64()),
    ]
)

FCT_QUALITY_EVENT_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", _TS),
        ("kind", pa.string()),  # suspected_split
        ("detail", pa.string()),  # the ratio, new shares to old ones
        ("value", pa.float64()),  # close by previous close
        ("expected_value", pa.float64()),  # what a split in this ratio makes of a price
        ("change_seq", pa.int64()),
    ]
)

FCT_DATA_QUALITY_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", _TS),  # the month's first instant
        ("landed_rows", pa.int64()),  # = current + duplicate + corrected + quarantined
        ("current_rows", pa.int64()),
        ("duplicate_rows", pa.int64()),
        ("corrected_rows", pa.int64()),
        ("quarantined_rows", pa.int64()),
        ("quarantined_by_rule", pa.string()),  # a JSON object; {} where there are none
        ("late_bars", pa.int64()),
        ("expected_bars", pa.int64()),  # null but of daily bars of an exchange whose calendar is known
        ("missing_bars", pa.int64()),
        ("off_session_bars", pa.int64()),
        ("first_ts", _TS),  # of the bars that passed validation; null where there are none
        ("last_ts", _TS),
        ("change_seq", pa.int64()),
    ]
)

FCT_BATCH_QUALITY_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("topic_id", pa.string()),
        ("partition", pa.int32()),
        ("position", pa.int64()),  # first offset
        ("next_offset", pa.int64()),
        ("landed_rows", pa.int64()),
        ("quarantined_rows", pa.int64()),
        ("quarantined_by_rule", pa.string()),  # a JSON object; {} where there are none
        ("validated_at", _TS),
    ]
)

DIM_ALERT_RULE_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("rule", pa.string()),
        ("severity", pa.string()),  # low, medium, high
        ("severity_rank", pa.int32()),  # 1, 2, 3
        ("direction", pa.string()),  # above, below, either
        ("threshold", pa.float64()),
        ("is_enabled", pa.bool_()),
        ("look_back_bars", pa.int32()),
        ("intervals", pa.string()),  # all, 1d
        ("unit", pa.string()),  # per cent, points, price
        ("description", pa.string()),
    ]
)

ALERT_EVENT_SCHEMA = pa.schema(
    [
        ("event_seq", pa.int64()),  # order in the ledger, from 1
        ("alert_id", pa.string()),
        ("revision", pa.int64()),  # of the alert, from 1; (alert_id, revision) is unique
        ("event", pa.string()),  # raised, changed, withdrawn
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", _TS),
        ("rule", pa.string()),
        ("severity", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("is_told", pa.bool_()),  # whether it is for people; not what was loaded as history
        ("snapshot", pa.int64()),  # the one it was published with
        ("recorded_at", _TS),
    ]
)

DIM_INSTRUMENT_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),  # index, stock, crypto
        ("exchange", pa.string()),
        ("mic", pa.string()),  # ISO 10383
        ("country", pa.string()),  # ISO 3166-1 alpha-2
        ("currency", pa.string()),  # ISO 4217
        ("time_zone", pa.string()),  # IANA
    ]
)

MARTS: dict[str, pa.Schema] = {
    FCT_INDICATOR: FCT_INDICATOR_SCHEMA,
    FCT_ALERT: FCT_ALERT_SCHEMA,
    FCT_QUALITY_EVENT: FCT_QUALITY_EVENT_SCHEMA,
    FCT_DATA_QUALITY: FCT_DATA_QUALITY_SCHEMA,
    FCT_BATCH_QUALITY: FCT_BATCH_QUALITY_SCHEMA,
    DIM_ALERT_RULE: DIM_ALERT_RULE_SCHEMA,
    DIM_INSTRUMENT: DIM_INSTRUMENT_SCHEMA,
}
"""Every dbt model that is published, with the schema of its files. Without `change_seq`, contents tell whether one changed."""

PUBLISHED: dict[str, pa.Schema] = {**MARTS, ALERT_EVENT: ALERT_EVENT_SCHEMA}
"""Every published table."""

CHANGED_WITH = "int_indicator"
"""The model whose rows' `change_seq` tells which rows of a mart with (symbol, interval, ts) may have changed, or gone."""

REMOVED_WITH = ("int_landed_bar", "int_derived_bar")
"""The models whose rows, where they go and none takes their place, take those of such a mart with them."""

HAS_ROW_FOR_ROW: dict[str, str] = {
    FCT_INDICATOR: "int_indicator",
    FCT_ALERT: FCT_ALERT,
    FCT_QUALITY_EVENT: FCT_QUALITY_EVENT,
    FCT_DATA_QUALITY: FCT_DATA_QUALITY,
}
"""What to count and to divide by instead of such a mart: a table with just as many rows of each key, for a view is a join."""

KEEPS_ROWS = {FCT_DATA_QUALITY}
"""Marts whose own `change_seq` tells all that changed: a row goes only when the model starts anew, and that changes every row."""
