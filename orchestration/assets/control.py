"""What builds are told: tables a build writes for its models before dbt runs, one asset for all of them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from orchestration.teams import DATA_PLATFORM

SOURCE = "control"
"""What dbt calls them together."""

KEY = dg.AssetKey(SOURCE)


def control_tables(manifest: Mapping[str, Any]) -> dg.AssetSpec:
    """The asset, which lists the tables as dbt's manifest describes them."""
    tables = {node["name"]: node for node in manifest["sources"].values() if node["source_name"] == SOURCE}
    rows = [dg.TableRecord({"table": name, "holds": tables[name]["description"].strip()}) for name in sorted(tables)]
    return dg.AssetSpec(
        KEY,
        group_name="control",
        owners=[DATA_PLATFORM],
        kinds={"duckdb"},
        description="What a build tells its models before dbt runs: its number, settings that override rules, the exchanges' "
        "sessions, which bars are read again and which rows went.",
        metadata={"tables": dg.MetadataValue.table(rows)},
    )
