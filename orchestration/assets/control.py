"""What builds are told: tables a build writes for its models before dbt runs."""

import dagster as dg

BUILD_NUMBER = dg.AssetSpec(
    ["control", "build"],
    group_name="control",
    kinds={"duckdb"},
    description="One row per build: its number, which every changed row carries, and the indicators it computes.",
)

ALERT_OVERRIDE = dg.AssetSpec(
    ["control", "alert_override"],
    group_name="control",
    kinds={"duckdb"},
    description="What settings say of alert rules; it overrides the seed.",
)
