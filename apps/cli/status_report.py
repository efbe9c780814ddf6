"""What `tickhouse status` shows, for people and for programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ingestion.chain.slot import Chain, SlotFooter
from transform.snapshot.manifest import Manifest
from transform.status import LastSlot, PartitionStatus, Status
from transform.validation.refusal import Refusal

_NOTHING = "Nothing has landed yet at {}. Start `tickhouse ingest`, then `tickhouse replay sample`."
_CAPTION = """
Everything below an offset has come through that stage; lag is what Kafka holds above what has landed.
Last slot: its bars, of the last that has any. Age: since Kafka took the newest of them.
"""
_COLUMNS = ("in Kafka", "landed", "lag", "last slot", "age", "validated", "published")


def status_report(status: Status, now: datetime, hint: str | None = None) -> Group:
    """A table with a line for each partition, and a line for each thing somebody should know. `now` is UTC."""
    unknown = [] if status.kafka_unknown is None else [f"Without Kafka's side: {status.kafka_unknown}"]
    hints = [] if hint is None else [hint]
    if not status.partitions:
        return Group(*map(Text, [_NOTHING.format(status.landing), *unknown, *hints]))
    table = Table(box=None, padding=(0, 1), pad_edge=False, collapse_padding=True, caption=_CAPTION, caption_justify="left")
    table.add_column("partition", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for each in status.partitions:
        slot = each.last_slot
        table.add_row(
            f"{each.chain.topic} / {each.chain.partition}",
            _number(each.broker_end),
            _number(each.landed_end),
            _number(each.lag),
            _number(None if slot is None else slot.footer.rows),
            _age_text(slot, now),
            _number(each.validated_end),
            _number(each.published_end),
        )
    return Group(table, *map(Text, [*unknown, *_notices(status), *_snapshot_lines(status.manifest, now), *hints]))


def status_json(status: Status, now: datetime) -> dict[str, Any]:
    """The same as plain values. `now` is UTC; ages are seconds, and what is not known is null."""
    manifest = status.manifest
    return {
        "at": now.isoformat(),
        "kafka_unknown": status.kafka_unknown,
        "partitions": [_partition_json(each, now) for each in status.partitions],
        "snapshot": None
        if manifest is None
        else {
            "number": manifest.number,
            "published_at": manifest.published_at.isoformat(),
            "age_seconds": (now - manifest.published_at).total_seconds(),
            "rows": {name: mart.rows for name, mart in manifest.marts.items()},
            **manifest.balance.model_dump(),
            "derived": manifest.derived_bars,
        },
    }


def _partition_json(status: PartitionStatus, now: datetime) -> dict[str, Any]:
    chain, slot, refusal = status.chain, status.last_slot, status.refusal
    age = None if slot is None else slot.age(now)
    return {
        "topic": chain.topic,
        "topic_id": chain.topic_id,
        "partition": chain.partition,
        "in_kafka": status.broker_end,
        "landed": status.landed_end,
        "lag": status.lag,
        "validated": status.validated_end,
        "published": status.published_end,
        "last_slot": None
        if slot is None
        else {
            "position": slot.footer.position,
            "rows": slot.footer.rows,
            "dead_letters": slot.footer.dead_letters,
            "age_seconds": None if age is None else age.total_seconds(),
        },
        "dead_letter_files": status.dead_letter_files,
        "lost": sum(footer.lost for footer in status.given_up),
        "refused": None if refusal is None else refusal.model_dump(mode="json"),
    }


def _notices(status: Status) -> list[str]:
    lines = []
    for each in status.partitions:
        if each.refusal is not None:
            lines.append(_refusal_text(each.refusal))
        lines += [_loss_text(each.chain, footer) for footer in each.given_up]
    if files := sum(each.dead_letter_files for each in status.partitions):
        lines.append(f"Dead letters: {files:,} files of messages that are no bars; `tickhouse dlq list` tells why.")
    return lines


def _loss_text(chain: Chain, footer: SlotFooter) -> str:
    place = f"{chain.topic} / {chain.partition}, id {chain.topic_id}"
    return f"Lost: {footer.lost:,} offsets of {place}, from {footer.position:,} to {footer.next_offset - 1:,}; {footer.writer}"


def _refusal_text(refusal: Refusal) -> str:
    return (
        f"Publishing is held up since {refusal.refused_at:%Y-%m-%d %H:%M:%S} UTC: validation refused a batch, and no build "
        f"goes on before that is settled. {refusal.reason}. {refusal.way_on}"
    )


def _snapshot_lines(manifest: Manifest | None, now: datetime) -> list[str]:
    if manifest is None:
        return ["Nothing is published yet: `tickhouse build` does it, or Dagster by itself."]
    balance = manifest.balance
    derived = f" {manifest.derived_bars:,} coarser bars are derived from them." if manifest.derived_bars else ""
    marts = ", ".join(f"{mart.rows:,} in {name}" for name, mart in manifest.marts.items())
    return [
        f"Snapshot {manifest.number}, published {manifest.published_at:%Y-%m-%d %H:%M:%S} UTC "
        f"({seconds_text(now - manifest.published_at)} ago): {marts}.",
        f"Of {balance.landed:,} landed rows, {balance.current:,} are current, {balance.superseded:,} superseded "
        f"by corrections, {balance.quarantined:,} in quarantine.{derived}",
    ]


def _age_text(slot: LastSlot | None, now: datetime) -> str:
    age = None if slot is None else slot.age(now)
    return "–" if age is None else seconds_text(age)


def seconds_text(age: timedelta) -> str:
    """An age at a glance: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    seconds = max(age.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, divisor, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
