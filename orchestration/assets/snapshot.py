"""Publishing as an asset: the last step, the only one the API and the pages ever see."""

import dagster as dg

from orchestration.resources import Platform
from transform.marts import MARTS
from transform.publication import publish_warehouse
from transform.warehouse import build_lock


@dg.asset(
    deps=list(MARTS),
    group_name="serving",
    kinds={"parquet"},
    description="The newest published snapshot: immutable Parquet files and the manifest that names them.",
)
def published_snapshot(platform: Platform) -> dg.MaterializeResult:
    settings = platform.settings()
    with build_lock(settings):
        manifest = publish_warehouse(settings, platform.storage())
    rows = {f"{name}_rows": mart.rows for name, mart in manifest.marts.items()}
    figures = {"snapshot": manifest.number, **rows, **manifest.balance.model_dump(), "derived": manifest.derived_bars}
    return dg.MaterializeResult(metadata=figures)
