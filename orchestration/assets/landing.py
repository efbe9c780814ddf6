"""What exists before any run: the topic and the slots the ingestor lands."""

import dagster as dg

TOPIC = dg.AssetSpec(
    "bar_topic",
    group_name="landing",
    kinds={"kafka"},
    description="The Kafka topic bars are written to, one JSON message a bar, keyed by symbol.",
)

LANDED_SLOT = dg.AssetSpec(
    "landed_slot",
    deps=[TOPIC],
    group_name="landing",
    kinds={"parquet"},
    description="Micro-batches the ingestor lands, exactly once: a gapless chain of Parquet slots per partition.",
)
