"""What is told of one published value: a record for each step of its way, from Kafka to the snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from transform.proof.definitions import Definition

Cell = float | int | str | bool | datetime | None


@dataclass(frozen=True)
class Check:
    """Something that was looked at again: what it came to, in a line, and whether it is as it must be."""

    said: str
    holds: bool


@dataclass(frozen=True)
class PublishedValue:
    """The value as people are shown it. `ts` is the bar's start; times are UTC. `null_because` says why there is none."""

    symbol: str
    interval: str
    ts: datetime
    column: str
    value: Cell
    null_because: str | None
    snapshot: int
    published_at: datetime
    build_seq: int
    held: Check


@dataclass(frozen=True)
class Reach:
    """Which bars an indicator looks at: the last of `first_ts` … `last_ts` is bar `bar_number` of its series, from 1."""

    bar_number: int
    first_ts: datetime
    last_ts: datetime
    recomputed: Check


@dataclass(frozen=True)
class FinerBars:
    """The bars that a derived bar is made of."""

    interval: str
    bars: int
    first_ts: datetime
    last_ts: datetime


@dataclass(frozen=True)
class ExplainedBar:
    """The bar: its prices as the feed gave them and on the price basis, made again from what they come from."""

    is_closed: bool
    source: str
    price_basis: str
    prices: Mapping[str, float | None]
    basis: Mapping[str, float | None]
    finer: FinerBars | None
    made_again: Check


@dataclass(frozen=True)
class Validation:
    """The slot's validation record: where it lies and what it says. `validated_at` is UTC."""

    key: str
    rules: str
    validated_at: datetime
    landed_rows: int
    quarantined_rows: int


@dataclass(frozen=True)
class ExplainedSlot:
    """The slot that a bar landed in. `bars_key` is where its bars lie: its own key, or an archive that stands for it.

    `registered_by` is the build that took it in; `validation` is None when its record is gone.
    """

    key: str
    position: int
    next_offset: int
    rows: int
    dead_letters: int
    writer: str
    bars_key: str
    archive_key: str | None
    registered_by: int
    validation: Validation | None


@dataclass(frozen=True)
class FirstPlace:
    """Where a replayed dead letter first stood; `at` is Kafka's timestamp there, UTC."""

    topic_id: str
    partition: int
    offset: int
    at: datetime


@dataclass(frozen=True)
class LandedPlace:
    """Where in Kafka a landed bar came from. Times are UTC; `slot` is None when the lake has none there."""

    ts: datetime
    topic: str
    topic_id: str
    partition: int
    offset: int
    kafka_timestamp: datetime
    produced_at: datetime
    replay_of: FirstPlace | None
    slot: ExplainedSlot | None


@dataclass(frozen=True)
class OtherRow:
    """Another landed row of the same symbol, interval and ts: superseded, waiting for a build, or quarantined and why."""

    fate: str
    topic_id: str
    partition: int
    offset: int
    kafka_timestamp: datetime
    close: float | None
    broken_rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExplainedBuild:
    """A build and what it did for this value. `finished_at` is None of one that was killed; times are UTC."""

    build_seq: int
    did: tuple[str, ...]
    begun_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class RuleOutcome:
    """An alert rule at this bar: the alert that it raised, or why it raised none.

    `value` is what was measured, in the unit of `threshold`: the one that was crossed, or else the one nearest to it. `meaning`
    says what is measured, and every threshold.
    """

    rule: str
    meaning: str
    fired: bool
    severity: str | None
    value: float | None
    threshold: float
    said: str
    as_published: Check


@dataclass(frozen=True)
class Explanation:
    """The way of one published value. What was looked at again is in `checks`, and what of it does not hold in `doubts`."""

    value: PublishedValue
    definition: Definition
    reach: Reach | None
    bar: ExplainedBar
    places: tuple[LandedPlace, ...]
    others: tuple[OtherRow, ...]
    builds: tuple[ExplainedBuild, ...]
    rules: tuple[RuleOutcome, ...]
    lake: tuple[Check, ...]
    quarantine: Check

    @property
    def checks(self) -> Iterator[Check]:
        """Everything that was looked at again."""
        yield self.value.held
        if self.reach is not None:
            yield self.reach.recomputed
        yield self.bar.made_again
        yield from self.lake
        yield self.quarantine
        yield from (rule.as_published for rule in self.rules)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What does not hold, a line each; none when all is well."""
        return tuple(check.said for check in self.checks if not check.holds)
