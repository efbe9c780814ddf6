"""Sensors that look at the topic and at the landing: what they see are observations of these assets, without a run."""

import json
from collections.abc import Mapping

import dagster as dg

from orchestration.assets.landing import LANDED_SLOT, TOPIC
from orchestration.resources import Platform
from tickhouse.settings import Settings
from transform.observation import LandingSeen, TopicSeen, see_landing, see_topic
from transform.status import read_kafka_side

Metadata = Mapping[str, dg.MetadataValue | int | str]


def observation_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """One for each, so that the landing is seen while Kafka is away; every `dagster.observe_seconds`."""

    @dg.sensor(
        minimum_interval_seconds=settings.dagster.observe_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks Kafka where the topic ends, and how far the landing lags behind. Fails while Kafka does not answer.",
    )
    def topic_watch(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        seen = see_topic(platform.storage(), read_kafka_side(platform.settings()))
        return _observation(context, TOPIC.key, topic_metadata(seen))

    @dg.sensor(
        minimum_interval_seconds=settings.dagster.observe_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks how many bars have landed, how far each chain is, and when Kafka took the newest bar.",
    )
    def landing_watch(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        return _observation(context, LANDED_SLOT.key, landing_metadata(see_landing(platform.storage())))

    return [topic_watch, landing_watch]


def topic_metadata(seen: TopicSeen) -> Metadata:
    """The topic's figures, and those of each partition."""
    rows = [
        dg.TableRecord({"partition": partition, "end_offset": end, "lag": seen.lags[partition]})
        for partition, end in sorted(seen.ends.items())
    ]
    return {
        "lag": sum(seen.lags.values()),
        "last_offset": max(seen.ends.values(), default=0) - 1,
        "partitions": dg.MetadataValue.table(rows),
        "topic_id": seen.topic_id,
    }


def landing_metadata(seen: LandingSeen) -> Metadata:
    """The landing's figures, and those of each chain."""
    rows = [
        dg.TableRecord(
            {
                "chain": each.chain.path,
                "next_offset": each.landed_end,
                "validated_to": each.validated_end,
                "published_to": each.published_end,
                "dead_letter_files": each.dead_letter_files,
            }
        )
        for each in seen.partitions
    ]
    newest = {} if seen.newest_at is None else {"newest_bar_taken_at": dg.MetadataValue.timestamp(seen.newest_at)}
    return {
        "dagster/row_count": seen.rows,
        "last_offset": max((each.landed_end for each in seen.partitions), default=0) - 1,
        **newest,
        **({"partitions": dg.MetadataValue.table(rows)} if rows else {}),
    }


def _observation(context: dg.SensorEvaluationContext, key: dg.AssetKey, metadata: Metadata) -> dg.SensorResult | dg.SkipReason:
    """The asset's observation, unless it looks as it did: an idle platform keeps no record of being idle."""
    seen = json.dumps({name: str(value) for name, value in metadata.items()})
    if seen == context.cursor:
        return dg.SkipReason("Nothing has changed.")
    return dg.SensorResult(asset_events=[dg.AssetObservation(key, metadata=metadata)], cursor=seen)
