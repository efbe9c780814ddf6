"""What builds are told: tables a build writes for its models before dbt runs."""

import dagster as dg

from orchestration.teams import DATA_PLATFORM

BUILD_NUMBER = dg.AssetSpec(
    ["control", "build"],
    group_name="control",
    owners=[DATA_PLATFORM],
    kinds={"duckdb"},
    description="One row per build: its number, which every changed row carries, and the indicators it computes.",
)

ALERT_OVERRIDE = dg.AssetSpec(
    ["control", "alert_override"],
    group_name="control",
    owners=[DATA_PLATFORM],
    kinds={"duckdb"},
    description="What settings say of alert rules; it overrides the seed.",
)

CALENDAR = dg.AssetSpec(
    ["control", "calendar"],
    group_name="control",
    owners=[DATA_PLATFORM],
    kinds={"duckdb"},
    description="One row per exchange whose calendar is known: from when to when, and the build that looked.",
)

SESSION = dg.AssetSpec(
    ["control", "session"],
    group_name="control",
    owners=[DATA_PLATFORM],
    kinds={"duckdb"},
    description="One row per exchange and day on which it traded, or will.",
)

RESTAGED_BAR = dg.AssetSpec(
    ["control", "restaged_bar"],
    group_name="control",
    owners=[DATA_PLATFORM],
    kinds={"duckdb"},
    description="One row per bar whose messages a backfill or a revalidation had read again; empty when every model has seen it.",
)

REMOVED_ROW = dg.AssetSpec(
    ["control", "removed_row"],
    group_name="control",
    owners=[DATA_PLATFORM],
    kinds={"duckdb"},
    description="One row per row that a model held and that went since the newest snapshot.",
)

CONTROL = (BUILD_NUMBER, ALERT_OVERRIDE, CALENDAR, SESSION, RESTAGED_BAR, REMOVED_ROW)
