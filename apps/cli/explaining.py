"""`tickhouse explain`: one value's way on one screen, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, time
from math import isfinite
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from apps.market import intervals_of, usual_interval
from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.proof.explain import explain
from transform.proof.explanation import (
    Check,
    ExplainedBar,
    ExplainedBuild,
    ExplainedSlot,
    Explanation,
    LandedPlace,
    OtherRow,
    RuleOutcome,
)
from transform.proof.question import Question
from transform.snapshot.read import SnapshotReader

_WIDTH = 100
_LISTED = 3
_LEGEND = "C close, H high, L low, V volume, on the price basis; ′ is of the bar before"

Line = tuple[str, Text | str]


def show_explanation(settings: Settings, symbol: str, date: str, column: str, interval: str | None, *, as_json: bool) -> bool:
    """Print how the value came about; whether all of it holds.

    Raises as `transform.proof.explain.explain` does.
    """
    storage = open_storage(settings)
    question = Question.of(symbol, date, column, interval or _usual_interval(storage, symbol))
    with Console(stderr=True).status("Reading the lake and the warehouse …"):
        found = explain(settings, storage, question)
    console = Console()
    if as_json:
        console.print(json.dumps(explanation_json(found)), soft_wrap=True, markup=False, highlight=False)
    else:
        width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
        Console(width=width, highlight=False).print(explanation_report(found))
    return not found.doubts


def explanation_json(found: Explanation) -> dict[str, Any]:
    """The explanation as plain values; times are ISO 8601 in UTC, a number that is not finite is a text."""
    return _plain({**asdict(found), "holds": not found.doubts, "doubts": found.doubts})


def explanation_report(found: Explanation) -> RenderableType:
    """The explanation as a screen of lines, each with its name before it."""
    value = found.value
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in _lines(found):
        table.add_row(name, said)
    head = Text(f"{value.symbol} {value.interval} {_ts(value.ts)}: {value.column} = {_cell(value.value)}", "bold")
    doubts = [Text(f"DOES NOT HOLD: {said}", "bold red") for said in found.doubts]
    looked_at = sum(1 for _ in found.checks)
    return Group(head, table, *(doubts or [Text(f"All {looked_at} things that were looked at again hold.", "green")]))


def _usual_interval(storage: Storage, symbol: str) -> str:
    with SnapshotReader(storage).pin() as snapshot:
        return (None if snapshot is None else usual_interval(intervals_of(snapshot, symbol))) or "1d"


def _lines(found: Explanation) -> Iterator[Line]:
    value = found.value
    if value.null_because is not None:
        yield "no value", Text(value.null_because, "yellow")
    yield "published", f"in snapshot {value.snapshot}, {_moment(value.published_at)}, of build {value.build_seq}"
    yield "", _checked(value.held)
    yield from _definition_lines(found)
    yield from _bar_lines(found.bar)
    yield from _place_lines(found.places)
    yield from (("lake" if number == 0 else "", _checked(check)) for number, check in enumerate(found.lake))
    yield from _other_lines(found.others)
    yield "" if found.others else "others", _checked(found.quarantine)
    yield from _titled("builds", map(_build_text, found.builds))
    yield from _titled("alerts", _rule_texts(found))


def _definition_lines(found: Explanation) -> Iterator[Line]:
    rule = next((rule for rule in found.rules if rule.rule == found.value.column), None)
    if rule is not None:
        yield "rule", rule.meaning
    yield "measures" if rule else "is", found.definition.said
    reach = found.reach
    if reach is None:
        return
    yield "", Text(_LEGEND, "dim")
    last = f"this is bar {reach.bar_number:,} of its series, values begin at bar {found.definition.first_bar}"
    if found.definition.window_bars is None:
        yield "looks at", f"every bar since {_ts(reach.first_ts)}, carried on; {last}"
    else:
        bars = min(found.definition.window_bars, reach.bar_number)
        yield "looks at", f"{bars} bars, {_ts(reach.first_ts)} … {_ts(reach.last_ts)}; {last}"
    yield "", _checked(reach.recomputed)


def _bar_lines(bar: ExplainedBar) -> Iterator[Line]:
    if bar.finer is None:
        yield "bar", f"landed, from the feed {bar.source}"
    else:
        finer = bar.finer
        span = f"{_ts(finer.first_ts)} … {_ts(finer.last_ts)}"
        open_still = "" if bar.is_closed else "; not closed yet"
        yield "bar", f"derived from {finer.bars:,} landed bars of {finer.interval}, {span}{open_still}"
    yield "", " ".join(f"{name} {_number(value)} " for name, value in bar.prices.items()).rstrip()
    if bar.price_basis == "adjusted":
        yield "", "adjusted: " + " ".join(f"{name} {_number(value)} " for name, value in bar.basis.items()).rstrip()
    else:
        yield "", "indicators use these prices: the feed carries no adjusted ones"
    yield "", _checked(bar.made_again)


def _place_lines(places: tuple[LandedPlace, ...]) -> Iterator[Line]:
    told: set[str] = set()
    for number, place in enumerate(places):
        yield "Kafka" if number == 0 else "", _place_text(place, is_one_of_many=len(places) > 1)
        if place.replay_of is not None:
            first = place.replay_of
            yield (
                "",
                (
                    f"a dead letter sent again: it counts as partition {first.partition}, offset {first.offset:,}, "
                    f"{_moment(first.at)}, id {first.topic_id}"
                ),
            )
    for slot in (place.slot for place in places):
        if slot is not None and slot.key not in told:
            yield from _slot_lines(slot, "" if told else "slot")
            told.add(slot.key)


def _place_text(place: LandedPlace, *, is_one_of_many: bool) -> str:
    where = f"partition {place.partition}, offset {place.offset:,}, {_moment(place.kafka_timestamp)}"
    if is_one_of_many:
        return f"{_ts(place.ts)}: {where}"
    return f"topic {place.topic}, id {place.topic_id}, {where}\nproduced {_moment(place.produced_at)}"


def _slot_lines(slot: ExplainedSlot, name: str) -> Iterator[Line]:
    letters = f" and {slot.dead_letters:,} dead letters" if slot.dead_letters else ""
    yield name, f"{slot.key}"
    yield "", f"offsets {slot.position:,} … {slot.next_offset - 1:,}, {slot.rows:,} bars{letters}, landed by {slot.writer}"
    if slot.archive_key is not None:
        yield "", f"compacted: its bars lie in {slot.bars_key}"
    record = slot.validation
    if record is not None:
        yield (
            "",
            f"validated {_moment(record.validated_at)} by rules {record.rules}: {record.landed_rows:,} rows, "
            f"{record.quarantined_rows:,} quarantined",
        )
        yield "", Text(record.key, "dim")


def _other_lines(others: tuple[OtherRow, ...]) -> Iterator[Line]:
    for number, row in enumerate(others[:_LISTED]):
        why = f": {', '.join(row.broken_rules)}" if row.broken_rules else ""
        where = f"partition {row.partition}, offset {row.offset:,}, {_moment(row.kafka_timestamp)}, close {_number(row.close)}"
        yield "" if number else "others", f"{row.fate}: {where}{why}"
    if len(others) > _LISTED:
        yield "", f"and {len(others) - _LISTED:,} more: --json tells all"


def _build_text(build: ExplainedBuild) -> str:
    finished = "never finished" if build.finished_at is None else f"finished {build.finished_at:%H:%M:%S}"
    return f"{build.build_seq}, begun {_moment(build.begun_at)}, {finished}: {', '.join(build.did)}"


def _rule_texts(found: Explanation) -> Iterator[Text]:
    """A line for each rule that fired, was asked for, or is not published as it should be; the others in one."""
    told = [rule for rule in found.rules if rule.fired or rule.rule == found.value.column or not rule.as_published.holds]
    yield from map(_rule_text, told)
    if silent := [rule.rule for rule in found.rules if rule not in told]:
        yield Text(f"none by {', '.join(silent)}", "dim")


def _rule_text(rule: RuleOutcome) -> Text:
    text = Text(f"{rule.rule}: ")
    text.append(f"{rule.severity}, {rule.said}" if rule.fired else f"no alert, {rule.said}", "yellow" if rule.fired else "dim")
    return text if rule.as_published.holds else text.append(f"; {rule.as_published.said}", "bold red")


def _titled(name: str, texts: Iterator[Text | str]) -> Iterator[Line]:
    for number, text in enumerate(texts):
        yield "" if number else name, text


def _checked(check: Check) -> Text:
    return Text(check.said, "green" if check.holds else "bold red")


def _cell(value: Any) -> str:
    return "no value" if value is None else _ts(value) if isinstance(value, datetime) else str(value)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.10g}"


def _ts(ts: datetime) -> str:
    return f"{ts:%Y-%m-%d}" if ts.time() == time.min else f"{ts:%Y-%m-%d %H:%M}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, float) and not isfinite(value) else value
