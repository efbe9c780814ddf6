"""What exists before any run: the topic and the slots the ingestor lands. Sensors observe them (orchestration/observation.py)."""

import dagster as dg

from orchestration.teams import DATA_PLATFORM

TOPIC = dg.AssetSpec(
    "bar_topic",
    group_name="landing",
    owners=[DATA_PLATFORM],
    kinds={"kafka", "json"},
    description="The Kafka topic bars are written to, one JSON message a bar, keyed by symbol.",
)

LANDED_SLOT = dg.AssetSpec(
    "landed_slot",
    deps=[TOPIC],
    group_name="landing",
    owners=[DATA_PLATFORM],
    kinds={"parquet"},
    description="Micro-batches the ingestor lands, exactly once: a gapless chain of Parquet slots per partition.",
)
