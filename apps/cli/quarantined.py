"""What people and programs are shown of quarantined bars, and of judging them again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from apps.cli.ending import interrupt_on_signals
from apps.cli.letters import printable
from apps.cli.progress import showing_progress
from tickhouse.bar import BAR_SCHEMA
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.validation.quarantine_book import QuarantineBook, QuarantinedRow, Wanted
from transform.validation.revalidation import RevalidationOutcome, revalidate
from transform.validation.suite import batch_suite, fingerprint, row_suite, rule_meanings

_HEAD = ("place", "symbol", "interval", "bar, UTC", "broke")
_NAMED_SYMBOLS = 10


def list_report(book: QuarantineBook, wanted: Wanted, limit: int) -> RenderableType:
    """The newest `limit` rows (0 for all) that are wanted, a line each, and how many broke what."""
    count = book.count(wanted)
    if not count.rows:
        is_any = book.count(Wanted()).rows
        return Text(
            f"None of topic {book.topic}'s {is_any:,} quarantined bars is like that."
            if is_any
            else f"No bar of topic {book.topic} is in quarantine."
        )
    rows = [_HEAD, *(_cells(book, row) for row in islice(book.newest(wanted), limit or None))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = [f"The newest {limit:,} are listed; --limit 0 lists all."] if 0 < limit < count.rows else []
    totals = [
        f"{count.rows:,} quarantined {'bar' if count.rows == 1 else 'bars'} of topic {book.topic}.",
        f"by rule: {_counted(count.rules)}",
        f"by symbol: {_counted(count.symbols, _NAMED_SYMBOLS)}",
        *more,
    ]
    return Group(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), Text("\n".join(totals)))


def json_lines(book: QuarantineBook, wanted: Wanted, limit: int) -> Iterator[str]:
    """The newest `limit` rows (0 for all) that are wanted, each as a line of JSON: the bar, its place, what it broke."""
    for row in islice(book.newest(wanted), limit or None):
        bar = {name: _plain(row.bar[name]) for name in BAR_SCHEMA.names}
        place = {"place": row.place.text(book.present), "topic": row.chain.topic, "topic_id": row.place.topic_id}
        at = {"partition": row.place.partition, "offset": row.place.offset, "timestamp": _plain(row.bar["kafka_timestamp"])}
        keys = {"slot": row.chain.slot_key(row.record.position), "quarantine": row.record.quarantine_key}
        yield json.dumps({**place, **at, **bar, "broken": list(row.broken), **keys, "rules": row.last_rules})


def row_report(book: QuarantineBook, row: QuarantinedRow) -> Text:
    """Everything that is known of a quarantined row."""
    meanings, present = rule_meanings(), fingerprint(batch_suite(), row_suite())
    judged = f"{_plain(row.record.validated_at)} by rules {row.record.rules}"
    if row.last_rules != present:
        judged += f"\nthe rules are {present} now: `tickhouse quarantine revalidate` judges it again"
    said = {
        **{name: _text(row.bar[name]) for name in BAR_SCHEMA.names},
        "broke": "\n".join(f"{rule}: {meanings.get(rule, 'no rule any more')}" for rule in row.broken),
        "topic": f"{row.chain.topic}, id {row.place.topic_id}",
        "place": f"partition {row.place.partition}, offset {row.place.offset}",
        "by Kafka at": _plain(row.bar["kafka_timestamp"]),
        "slot": row.chain.slot_key(row.record.position),
        "kept in": row.record.quarantine_key or "–",
        "judged": judged,
    }
    text = Text()
    for name, value in said.items():
        text.append(f"{name:12}", "bold").append(value.replace("\n", "\n" + " " * 12) + "\n")
    return text


def revalidate_with_progress(settings: Settings, *, is_dry: bool) -> bool:
    """Judge again what other rules judged, or as much as is done when told to end; say whether no batch was refused."""
    outcome = RevalidationOutcome()
    with interrupt_on_signals(), showing_progress(Console(stderr=True), "bars judged again") as show:
        show(0, None)
        outcome = revalidate(settings, open_storage(settings), is_dry=is_dry, on_rows=lambda rows: show(rows, None))
        Console().print(revalidation_text(outcome, is_dry=is_dry), highlight=False, soft_wrap=True)
    return outcome.blocked is None


def revalidation_text(outcome: RevalidationOutcome, *, is_dry: bool) -> str:
    """What was judged and what moved, or would."""
    if outcome.blocked is not None:
        left = (
            "it and what is behind it stay as they were. What came before it is judged."
            if not is_dry
            else "it would stay as it is."
        )
        return f"Refused: {outcome.blocked}; {left}"
    if not outcome.rows:
        return "Nothing to judge again: the present rules have judged every validated bar."
    would = "would be " if is_dry else ""
    failures = f" ({_counted(outcome.failures)})" if outcome.failures else ""
    renamed = f", {outcome.renamed:,} {would}quarantined for other reasons" if outcome.renamed else ""
    lines = [
        f"Judged {outcome.rows:,} bars again: {outcome.released:,} {would}released, "
        f"{outcome.quarantined:,} {would}newly quarantined{failures}{renamed}."
    ]
    if not is_dry and outcome.slots:
        lines.append("The next build reads what moved, with what depends on it: `tickhouse build`.")
    return "\n".join(lines)


def _cells(book: QuarantineBook, row: QuarantinedRow) -> tuple[str, ...]:
    bar = row.bar
    return (
        row.place.text(book.present),
        printable(bar["symbol"].encode()),
        printable(bar["interval"].encode()),
        _plain(bar["ts"]),
        ", ".join(row.broken),
    )


def _counted(counter: Counter[str], limit: int | None = None) -> str:
    """`a 3, b 2 and 5 others`, the most frequent first."""
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{printable(name.encode())} {count:,}" for name, count in ordered[:limit])
    left = 0 if limit is None else max(len(ordered) - limit, 0)
    return f"{shown} and {left:,} others" if left else shown


def _text(value: Any) -> str:
    return "–" if value is None else printable(str(_plain(value)).encode())


def _plain(value: Any) -> Any:
    """A time as ISO 8601 in UTC, anything else as it is."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
