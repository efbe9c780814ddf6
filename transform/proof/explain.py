"""Explaining one published value: from the snapshot back to its bars, their slots, their places in Kafka and their builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.build_lock import build_lock
from transform.indicators.signals import SIGNALS
from transform.marts import FCT_INDICATOR_SCHEMA
from transform.proof.definitions import Definition, definitions
from transform.proof.equality import differences, is_same
from transform.proof.explanation import (
    Check,
    ExplainedBar,
    ExplainedBuild,
    Explanation,
    FinerBars,
    OtherRow,
    PublishedValue,
    Reach,
    RuleOutcome,
)
from transform.proof.held import Held, Identity, Row, look_up, quarantines_of
from transform.proof.lake import quarantined_rows, read_back
from transform.proof.nulls import why_null
from transform.proof.places import landed_places
from transform.proof.question import Question, UnknownValueError, missing_text, published_bar
from transform.proof.recomputation import PRICES, bar_again, indicators_again, signals_again
from transform.proof.rules import MEASURED, JudgedBar, judge_rules
from transform.snapshot.manifest import Manifest
from transform.snapshot.read import Snapshot, SnapshotReader


def explain(settings: Settings, storage: Storage, question: Question) -> Explanation:
    """The way of the value, of the newest snapshot, looked at again step by step.

    The warehouse is open for a moment, under `build_lock`: so it waits for a build that is running. What is read is of the
    symbol that is asked for, whatever the size of the lake. Raises UnknownValueError and WarehouseMissingError.
    """
    with build_lock(settings), SnapshotReader(storage).pin() as snapshot:
        if snapshot is None:
            raise UnknownValueError("nothing is published yet: `tickhouse build` does it")
        published = published_bar(snapshot, question)
        if published is None:
            raise UnknownValueError(missing_text(snapshot, question) + _in_quarantine(settings, storage, question))
        identity = Identity(published["symbol"], published["interval"], published["ts"])
        manifest, alerts = snapshot.manifest, _alerts(snapshot, identity)
        held = look_up(settings, identity, manifest.build_seq)
    return _explanation(storage, question.column, manifest, published, alerts, held)


def _explanation(
    storage: Storage, asked: str, manifest: Manifest, published: Row, alerts: Sequence[Row], held: Held
) -> Explanation:
    identity = Identity(published["symbol"], published["interval"], published["ts"])
    places, lake = landed_places(storage, held)
    rejected, quarantine = quarantined_rows(storage, held.quarantines, identity)
    nulls, rules = _nulls(manifest, published, held), _rules(published, alerts, manifest, held)
    column = MEASURED.get(asked, asked)
    definition = definitions()[column]
    reach = _reach(column, definition, manifest, published, held) if definition.is_indicator else None
    judged = next((rule for rule in rules if rule.rule == asked), None)
    return Explanation(
        value=_value(asked, manifest, published, held, nulls, judged),
        definition=definition,
        reach=reach,
        bar=_bar(published, held),
        places=places,
        others=(*_others(held), *rejected),
        builds=_builds(manifest, held),
        rules=rules,
        lake=(*lake, *read_back(storage, held.landed, held.slots)),
        quarantine=quarantine,
    )


def _in_quarantine(settings: Settings, storage: Storage, question: Question) -> str:
    """What landed for a bar that is not published, and broke which rules; nothing when nothing did."""
    identity = Identity(question.symbol, question.interval, question.start)
    rejected, _ = quarantined_rows(storage, quarantines_of(settings, question.symbol), identity)
    return "".join(
        f"; offset {row.offset:,} of partition {row.partition} would be it, but is in quarantine: {', '.join(row.broken_rules)}"
        for row in rejected
    )


def _alerts(snapshot: Snapshot, identity: Identity) -> list[Row]:
    wanted = "symbol = $symbol and interval = $interval and ts = $ts"
    return snapshot.query(f"select * from fct_alert where {wanted}", identity.bound()).to_pylist()


def _value(
    asked: str, manifest: Manifest, published: Row, held: Held, nulls: Mapping[str, str | None], judged: RuleOutcome | None
) -> PublishedValue:
    if judged is not None:
        value, null = judged.value if judged.fired else None, None if judged.fired else f"no alert: {judged.said}"
    else:
        value = published[asked]
        null = nulls.get(asked, "the feed has none") if value is None else None
    return PublishedValue(
        symbol=published["symbol"],
        interval=published["interval"],
        ts=published["ts"],
        column=asked,
        value=value,
        null_because=null,
        snapshot=manifest.number,
        published_at=manifest.published_at,
        build_seq=manifest.build_seq,
        held=_held_so(manifest, published, held),
    )


def _chosen(manifest: Manifest, held: Held) -> Sequence[str]:
    """The indicators that the build which was published shows."""
    build = held.builds.get(manifest.build_seq)
    return [] if build is None else build["computed_indicators"]


def _held_so(manifest: Manifest, published: Row, held: Held) -> Check:
    """Whether the warehouse has the row that is published."""
    if held.bar is None or held.indicator is None:
        return Check("the warehouse does not hold this bar", False)
    newest = max(held.bar["change_seq"], held.indicator["change_seq"])
    if newest > manifest.build_seq:
        return Check(f"build {newest} has changed it since and did not come to publish it: run `tickhouse build`", False)
    chosen = _chosen(manifest, held)
    row = {**held.indicator, **held.bar, "change_seq": held.indicator["change_seq"]}
    shown = {
        name: None if definitions()[name].is_indicator and name not in chosen else row[name]
        for name in FCT_INDICATOR_SCHEMA.names
    }
    wrong = differences(published, shown, FCT_INDICATOR_SCHEMA.names)
    return (
        Check(f"the warehouse differs: {', '.join(wrong)}", False) if wrong else Check("the warehouse holds the same row", True)
    )


def _nulls(manifest: Manifest, published: Row, held: Held) -> Mapping[str, str | None]:
    """Why a column has no value, for each that can be without one."""
    chosen = _chosen(manifest, held)
    number = None if held.indicator is None else held.indicator["bar_number"]
    return {name: why_null(name, definition, number, chosen, published) for name, definition in definitions().items()}


def _rules(published: Row, alerts: Sequence[Row], manifest: Manifest, held: Held) -> tuple[RuleOutcome, ...]:
    chosen = _chosen(manifest, held)
    shows_volume = "mean_volume_20" in chosen and held.indicator is not None
    prior = held.indicator["prior_mean_volume_20"] if shows_volume and held.indicator is not None else None
    signals = signals_again(held.series, published["interval"]) if chosen and held.series.num_rows else dict.fromkeys(SIGNALS)
    bar = JudgedBar(
        row={**published, **signals, "prior_mean_volume_20": prior},
        nulls=_nulls(manifest, published, held),
        number=None if held.indicator is None else held.indicator["bar_number"],
        suspicion=next((f"the bar is a suspected split of {event['detail']}" for event in held.events), None),
    )
    return judge_rules(bar, held.rules, alerts)


def _reach(column: str, definition: Definition, manifest: Manifest, published: Row, held: Held) -> Reach:
    """Which bars the indicator looks at, and what the kernel makes of the series when it is run again."""
    bars, times = held.series.num_rows, held.series["ts"]
    if held.indicator is None or not bars or times[bars - 1].as_py() != published["ts"]:
        return Reach(
            bars, published["ts"], published["ts"], Check("the warehouse lacks the bar: nothing can be recomputed", False)
        )
    expected = published[column] if column in _chosen(manifest, held) else held.indicator[column]
    again = indicators_again(held.series)[column]
    of = f"recomputed from {bars:,} bars"
    if not is_same(again, expected):
        check = Check(f"{of} {column} is {again}, and not {expected}", False)
    elif held.indicator["bar_number"] != bars:
        check = Check(f"{of}, but the models count it as bar {held.indicator['bar_number']:,} of its series", False)
    else:
        check = Check(f"{of}: equal to the bit", True)
    first = 0 if definition.window_bars is None else max(bars - definition.window_bars, 0)
    return Reach(bars, times[first].as_py(), times[bars - 1].as_py(), check)


def _bar(published: Row, held: Held) -> ExplainedBar:
    finer = None
    if published["derived_from"] is not None and held.landed:
        times = [row["ts"] for row in held.landed]
        finer = FinerBars(published["derived_from"], len(times), times[0], times[-1])
    return ExplainedBar(
        is_closed=published["is_closed"],
        source=published["source"],
        price_basis=published["price_basis"],
        prices={name: published[name] for name in (*PRICES, "adj_close", "volume")},
        basis={name: published[f"basis_{name}"] for name in PRICES},
        finer=finer,
        made_again=bar_again(published, held.landed),
    )


def _others(held: Held) -> tuple[OtherRow, ...]:
    """The identity's other rows that were staged."""
    current = {(row["topic_id"], row["partition"], row["offset"]) for row in held.landed}
    rest = [row for row in held.staged if (row["topic_id"], row["partition"], row["offset"]) not in current]
    return tuple(
        OtherRow(
            fate="superseded" if row["change_seq"] <= held.last_finished else "waiting",
            **{name: row[name] for name in ("topic_id", "partition", "offset", "kafka_timestamp", "close")},
        )
        for row in rest
    )


def _builds(manifest: Manifest, held: Held) -> tuple[ExplainedBuild, ...]:
    """The builds that the value went through, the first one first, each with what it did."""
    did: dict[int, list[str]] = {}
    for number in sorted({slot["build_seq"] for slot in held.slots.values()}):
        did.setdefault(number, []).append("took its slot in")
    for row, what in ((held.bar, "changed the bar"), (held.indicator, "computed its indicators")):
        if row is not None:
            did.setdefault(row["change_seq"], []).append(what)
    did.setdefault(manifest.build_seq, []).append("was published")
    found: list[tuple[int, Any]] = [(number, held.builds.get(number)) for number in sorted(did)]
    return tuple(
        ExplainedBuild(number, tuple(did[number]), build["begun_at"], build["finished_at"])
        for number, build in found
        if build is not None
    )
