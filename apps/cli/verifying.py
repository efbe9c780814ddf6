"""`tickhouse verify`: how far it is, then the balance, and what does not add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from apps.cli.ending import interrupt_on_signals
from apps.cli.progress import Stages
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.proof.finding import Finding
from transform.proof.verify import LakeCount, Verification, verify

_SHOWN = 50


class VerifyInterruptedError(RuntimeError):
    """The proof was ended before it was through: nothing is known."""


def show_verification(settings: Settings, *, is_topic_read: bool, as_json: bool) -> bool:
    """Verify, and print what it came to; say whether everything adds up.

    Raises VerifyInterruptedError when told to end, and as `transform.proof.verify.verify` does.
    """
    came_to: Verification | None = None
    with interrupt_on_signals(), ExitStack() as opened:
        came_to = verify(settings, open_storage(settings), Stages(opened).tell, is_topic_read=is_topic_read)
    if came_to is None:
        raise VerifyInterruptedError("ended before it was through: nothing is known of the lake, and nothing was changed")
    console = Console()
    if as_json:
        console.print(json.dumps(verification_json(came_to)), soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(verification_report(came_to), highlight=False, soft_wrap=True)
    return not came_to.findings


def verification_json(proof: Verification) -> dict[str, Any]:
    """What was found as plain values; what is not known is null."""
    newest = proof.snapshots.newest
    lake = proof.lake
    return {
        "holds": not proof.findings,
        "lake": {**asdict(lake), "produced": lake.produced, "no_message": lake.no_message},
        "recounted": None if proof.recounted is None else proof.recounted.model_dump(),
        "snapshot": None if newest is None else {"number": newest.number, **newest.balance.model_dump()},
        "published": {
            "snapshots": proof.snapshots.snapshots,
            "files": proof.snapshots.files,
            "bytes": proof.snapshots.bytes,
            "rows": proof.snapshots.rows,
            "marts": {}
            if newest is None
            else {name: {"rows": mart.rows, "content": mart.content} for name, mart in newest.marts.items()},
        },
        "findings": [finding.as_json() for finding in proof.findings],
        "notes": proof.notes,
    }


def verification_report(proof: Verification) -> Group:
    """The balance, what was looked at, and a block for each thing that does not add up."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in _lines(proof):
        table.add_row(name, text)
    parts: list[RenderableType] = [table]
    parts += [Text(note) for note in proof.notes]
    for finding in proof.findings[:_SHOWN]:
        parts.append(_finding_text(finding))
    more = len(proof.findings) - _SHOWN
    if more > 0:
        parts.append(Text(f"\nand {more:,} more; --json lists all"))
    count = len(proof.findings)
    verdict = f"{_many(count, 'thing')} above do{'es' * (count == 1)} not add up." if count else "Everything adds up."
    return Group(*parts, Text(f"\n{verdict}", "bold"))


def _lines(proof: Verification) -> Iterator[tuple[str, str]]:
    lake, snapshots = proof.lake, proof.snapshots
    yield "produced", f"{lake.produced:,} = {lake.bars:,} landed + {lake.dead_letters:,} dead letters"
    if proof.recounted is not None:
        counted = proof.recounted
        sides = f"{counted.current:,} current + {counted.superseded:,} superseded + {counted.quarantined:,} quarantined"
        yield "landed", f"{counted.landed:,} = {sides}"
        if lake.bars != counted.landed:
            yield "", f"and {lake.bars - counted.landed:,} that no snapshot covers yet"
    yield "offsets", _offsets_text(lake)
    asked = lake.not_asked or f"{lake.messages or 0:,} messages that it still holds, compared offset by offset"
    yield "Kafka", asked
    yield (
        "lake",
        f"{_many(lake.slots, 'slot')} in {_many(lake.chains, 'chain')}, {_many(lake.archives, 'archive')}: "
        f"{_files_text(lake.files, lake.bytes)}",
    )
    if lake.unsealed:
        yield "", f"{lake.unsealed:,} of them are older than seals: their contents were looked at, not each byte"
    newest = snapshots.newest
    if newest is None:
        yield "published", "nothing yet"
        return
    kept = f"{_many(snapshots.snapshots, 'snapshot')}, the newest {newest.number}"
    yield "published", f"{kept}: {_files_text(snapshots.files, snapshots.bytes)}, {snapshots.rows:,} rows"
    for name, mart in newest.marts.items():
        held = f"{_many(mart.rows, 'row')} in {_many(len(mart.files), 'file')}"
        yield "", f"{name}: {held}, contents {mart.content or 'not hashed'}"


def _offsets_text(lake: LakeCount) -> str:
    others = [
        f"{lake.no_message:,} hold no message (transactions' markers, aborted records)",
        *([f"{lake.lost:,} were given up"] if lake.lost else []),
        *([f"{lake.unread:,} could not be read"] if lake.unread else []),
    ]
    return f"{lake.offsets:,}, of which {', '.join(others)}"


def _files_text(files: int, size: int) -> str:
    return f"{_many(files, 'file')}, {size / 1e6:,.1f} MB"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _finding_text(finding: Finding) -> Text:
    text = Text(f"\n{finding.kind}: ", "bold red").append(finding.key, "bold")
    for name, value in (("expected", finding.expected), ("found", finding.found), ("to do", finding.remedy)):
        text.append(f"\n  {name:<9} {value}", "not bold default")
    return text
