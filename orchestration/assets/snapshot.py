"""Publishing as an asset: the last step, the only one the API and the pages ever see."""

from collections.abc import Iterator

import dagster as dg

from orchestration.partitions import ONE_RUN, MonthEvent, event_months, month_events
from orchestration.resources import Platform
from tickhouse.settings import Settings
from transform.changed_months import changed_months, published_months
from transform.marts import MARTS
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest
from transform.warehouse import build_lock

KEY = dg.AssetKey("published_snapshot")


def snapshot_asset(settings: Settings) -> dg.AssetsDefinition:
    """The newest snapshot, with the event months that differ from the one before."""

    @dg.asset(
        key=KEY,
        deps=list(MARTS),
        group_name="serving",
        kinds={"parquet"},
        partitions_def=event_months(settings),
        backfill_policy=ONE_RUN,
        description="The newest published snapshot: immutable Parquet files and the manifest that names them.",
    )
    def published_snapshot(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[MonthEvent]:
        settings, storage = platform.settings(), platform.storage()
        with build_lock(settings):
            changed = published_months(changed_months(settings, storage))
            manifest = publish_warehouse(settings, storage)
        yield from month_events(context, KEY, changed, figures(manifest))

    return published_snapshot


def figures(manifest: Manifest) -> dict[str, dg.MetadataValue | float | int | str]:
    """What a snapshot holds, for people."""
    rows = {f"{name}_rows": mart.rows for name, mart in manifest.marts.items()}
    return {"snapshot": manifest.number, **rows, **manifest.balance.model_dump(), "derived": manifest.derived_bars}
