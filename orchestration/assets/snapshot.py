"""Publishing as an asset: the last step, the only one the API and the pages ever see."""

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from orchestration.resources import Platform, Warehouse
from orchestration.teams import DATA_PLATFORM
from transform.changed_months import BY_MONTH
from transform.marts import MARTS
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest

KEY = dg.AssetKey("published_snapshot")

_WITHOUT_MONTHS = [dg.AssetKey(mart) for mart in MARTS if mart not in BY_MONTH]
_OF_INPUTS = (CODE_VERSION_TAG, INPUT_DATA_VERSION_TAG_PREFIX, INPUT_EVENT_POINTER_TAG_PREFIX)


@dg.asset(
    key=KEY,
    # Of the months all count. But Dagster would list each of every mart in every run, to find that they are too many to compare.
    deps=[dg.AssetDep(mart, partition_mapping=dg.LastPartitionMapping()) if mart in BY_MONTH else mart for mart in MARTS],
    group_name="serving",
    owners=[DATA_PLATFORM],
    kinds={"parquet"},
    description="The newest published snapshot: immutable Parquet files and the manifest that names them.",
)
def published_snapshot(context: dg.AssetExecutionContext, platform: Platform, warehouse: Warehouse) -> dg.MaterializeResult:
    settings = platform.settings()
    warehouse.hold(settings, context.log.info)
    manifest = publish_warehouse(settings, platform.storage())
    return dg.MaterializeResult(metadata=figures(manifest))


def told_snapshot(instance: dg.DagsterInstance, manifest: Manifest) -> dg.AssetMaterialization:
    """The snapshot, published by a run of other assets.

    It is of the newest of those marts that have no months, and of the months that the last one was of: without them Dagster
    would have it out of sync with months that nothing is in.
    """
    last = instance.get_latest_materialization_event(KEY)
    before = None if last is None else last.asset_materialization
    tags = {} if before is None else {name: text for name, text in (before.tags or {}).items() if name.startswith(_OF_INPUTS)}
    for mart in _WITHOUT_MONTHS:
        for record in instance.fetch_materializations(mart, limit=1).records:
            if (version := extract_data_version_from_entry(record.event_log_entry)) is not None:
                tags[get_input_data_version_tag(mart)] = version.value
                tags[get_input_event_pointer_tag(mart)] = str(record.storage_id)
    return dg.AssetMaterialization(KEY, metadata=figures(manifest), tags=tags)


def figures(manifest: Manifest) -> dict[str, float]:
    """What a snapshot holds, for people."""
    rows = {f"{name}_rows": mart.rows for name, mart in manifest.marts.items()}
    return {"snapshot": manifest.number, **rows, **manifest.balance.model_dump(), "derived": manifest.derived_bars}
