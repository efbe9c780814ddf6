"""Commands for dead letters: messages that are no bars, and wait for somebody to see to them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from apps.cli.asking import ask
from apps.cli.start import start

if TYPE_CHECKING:
    from ingestion.dlq.book import LetterBook, Search
    from tickhouse.settings import Settings

_HELP = """
Dead letters: messages that are no bars.

They are kept byte for byte, and can be mended and sent again.

  tickhouse dlq list --waiting             what waits, the newest first
  tickhouse dlq show 0/1234                the one at partition 0, offset 1234
  tickhouse dlq show 0/1234 --raw > bar    its value, to mend
  tickhouse dlq replay 0/1234 --value bar  sends it again, mended
  tickhouse dlq replay --stage version     sends all that fell out there

A replayed letter keeps its first place: it never beats what came after it.
"""

At = Annotated[str, typer.Argument(metavar="PLACE", help="PARTITION/OFFSET, such as 0/1234, as the list shows them.")]
Places = Annotated[
    list[str] | None, typer.Argument(metavar="PLACE…", help="PARTITION/OFFSET, such as 0/1234.", show_default=False)
]
Topic = Annotated[str | None, typer.Option(help="Another topic than kafka.topic.")]
Stage = Annotated[
    Literal["origin", "version", "json", "fields", "values"] | None, typer.Option(help="Only those that fell out there.")
]
Partition = Annotated[int | None, typer.Option(help="Only those of this partition.")]
Since = Annotated[
    str | None, typer.Option(help="Only since a time in UTC (2026-01-31T12:00), or for so long (90s, 15m, 2h, 7d).")
]
Landed = Annotated[
    bool | None,
    typer.Option(
        "--replayed/--waiting", help="Only those that were replayed and are bars now, or only the others.", show_default=False
    ),
]
Limit = Annotated[int, typer.Option(min=0, help="At most so many, the newest; 0 for all.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: an object a line.")]
Raw = Annotated[bool, typer.Option("--raw", help="Write the value's exact bytes, and nothing else.")]
All = Annotated[bool, typer.Option("--all", help="Every letter that waits.")]
Value = Annotated[Path | None, typer.Option(help="A file with the value to send instead; for one letter.")]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="A header to send instead. Can be repeated.", show_default=False),
]
Again = Annotated[
    bool, typer.Option("--again", help="Also what has landed since: if its bar is in quarantine, another may take its place.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be sent, and send nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before many are sent.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    dlq = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode="rich")
    dlq.command("list")(dlq_list)
    dlq.command("show")(dlq_show)
    dlq.command("replay")(dlq_replay)
    app.add_typer(dlq, name="dlq", rich_help_panel="Data in")


def dlq_list(
    stage: Stage = None,
    partition: Partition = None,
    since: Since = None,
    landed: Landed = None,
    topic: Topic = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first, and count them by stage."""
    from apps.cli.letters import json_lines, letters_console, list_report

    search = _search(stage, partition, since, landed)
    _settings, book = _open(topic)
    if as_json:
        for line in json_lines(book, search, limit):
            typer.echo(line)
    else:
        letters_console().print(list_report(book, search, limit))


def dlq_show(place: At, raw: Raw = False, topic: Topic = None) -> None:
    """Show everything about a dead letter: where it stood, key, headers, why it is one, its value, what became of it."""
    from rich.console import Console

    from apps.cli.letters import letter_report

    _settings, book = _open(topic)
    letter = book.read(book.place(place))
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    else:
        Console(soft_wrap=True).print(letter_report(book, letter))


def dlq_replay(
    places: Places = None,
    is_all: All = False,
    stage: Stage = None,
    partition: Partition = None,
    since: Since = None,
    value: Value = None,
    header: Headers = None,
    again: Again = False,
    topic: Topic = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send dead letters to Kafka again, as they came, with the place they first had.

    What has landed since is left out, and two replays of one letter count once.

    tickhouse dlq replay 0/1234 --value mended.json
    tickhouse dlq replay --stage version --header schema_version=1
    """
    from apps.cli.resending import parse_mending, parse_wish, replay_letters

    wish = parse_wish(places or [], _search(stage, partition, since), is_all=is_all, is_again=again)
    mending = parse_mending(value, header or [], wish.places)
    settings, book = _open(topic)
    otherwise = "say --yes, or --dry-run to see which"
    replay_letters(settings, book, wish, mending, confirm=lambda question: yes or ask(question, otherwise), is_dry=dry_run)


def _search(stage: str | None, partition: int | None, since: str | None, landed: bool | None = None) -> Search:
    from apps.cli.letters import parse_since
    from ingestion.dlq.book import Search

    at = None if since is None else parse_since(since, datetime.now(UTC))
    return Search(stage, partition, at, None if landed is None else "landed" if landed else "waiting")


def _open(topic: str | None) -> tuple[Settings, LetterBook]:
    from ingestion.dlq.book import LetterBook
    from tickhouse.storage import open_storage

    settings = start("kafka", topic=topic)
    return settings, LetterBook(open_storage(settings), settings.kafka.topic)
