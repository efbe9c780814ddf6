"""What is made beside the data's way, by jobs of its own and never by a build: archives and the models' documentation."""

import dagster as dg

from ingestion.chain.compaction import ArchiveSize, compact
from orchestration.assets.landing import LANDED_SLOT
from orchestration.links import Links
from orchestration.resources import Platform
from orchestration.retries import tried_again
from orchestration.teams import DATA_PLATFORM
from transform.build_lock import build_lock
from transform.dbt import generate_docs
from transform.marts import MARTS


@dg.asset(
    deps=[LANDED_SLOT],
    group_name="landing",
    owners=[DATA_PLATFORM],
    kinds={"parquet"},
    description="Archives that landed slots were merged into, as many as fill one. What read the slots reads these instead.",
)
def archived_slot(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    with tried_again():
        made = compact(
            platform.storage(), ArchiveSize(), lambda archived: context.log.info(f"archived {archived.record.slots:,} slots")
        )
    counts = {"slots": sum(each.record.slots for each in made), "rows": sum(each.record.rows for each in made)}
    return dg.MaterializeResult(metadata={"archives": len(made), "bytes": sum(each.bytes for each in made), **counts})


@dg.asset(
    deps=list(MARTS),
    group_name="serving",
    owners=[DATA_PLATFORM],
    kinds={"dbt", "html"},
    description="The documentation of the dbt models, with the types and sizes of what the warehouse holds.",
)
def dbt_docs(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    settings = platform.settings()
    with build_lock(settings, context.log.info):
        page = generate_docs(settings)
    url = dg.MetadataValue.url(Links(settings).docs)
    return dg.MaterializeResult(metadata={"url": url, "path": dg.MetadataValue.path(page), "bytes": page.stat().st_size})
