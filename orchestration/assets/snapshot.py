"""Publishing as an asset: the last step, the only one the API and the pages ever see."""

import dagster as dg

from orchestration.resources import WAREHOUSE, Platform, Warehouse
from orchestration.teams import DATA_PLATFORM
from transform.changed_months import BY_MONTH
from transform.marts import MARTS
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest


@dg.asset(
    # Of the months all count. But Dagster would list each of every mart in every run, to find that they are too many to compare.
    deps=[dg.AssetDep(mart, partition_mapping=dg.LastPartitionMapping()) if mart in BY_MONTH else mart for mart in MARTS],
    group_name="serving",
    owners=[DATA_PLATFORM],
    kinds={"parquet"},
    pool=WAREHOUSE,
    description="The newest published snapshot: immutable Parquet files and the manifest that names them.",
)
def published_snapshot(platform: Platform, warehouse: Warehouse) -> dg.MaterializeResult:
    settings = platform.settings()
    warehouse.hold(settings)
    manifest = publish_warehouse(settings, platform.storage())
    return dg.MaterializeResult(metadata=figures(manifest))


def figures(manifest: Manifest) -> dict[str, float]:
    """What a snapshot holds, for people."""
    rows = {f"{name}_rows": mart.rows for name, mart in manifest.marts.items()}
    return {"snapshot": manifest.number, **rows, **manifest.balance.model_dump(), "derived": manifest.derived_bars}
