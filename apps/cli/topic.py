"""What is said of a topic."""

from __future__ import annotations

from ingestion.topic import LOG_APPEND_TIME, TopicIdentity


def topic_text(topic: TopicIdentity) -> str:
    """The topic in words."""
    if topic.timestamp_type == LOG_APPEND_TIME:
        clock = "the broker's clock"
    else:
        clock = "the producers' clocks, which then decide between corrections"
    return f"topic {topic.name}: {topic.partitions} partitions, id {topic.topic_id}; its messages carry {clock}"
