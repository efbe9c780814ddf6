"""Commands for quarantine: bars that landed and broke a rule, so that no model reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli.start import start

if TYPE_CHECKING:
    from transform.validation.quarantine_book import QuarantineBook, Wanted

_HELP = """
Quarantine: bars that landed and broke a rule.

No model reads them. They are kept as they landed, with the names of what they broke; docs/validation.md has every rule.

  tickhouse quarantine list                       the newest, and how many broke which rule
  tickhouse quarantine list --rule open_is_given  only those
  tickhouse quarantine show 0/1234                the one at partition 0, offset 1234
  tickhouse quarantine revalidate                 after a rule has changed: judges all again

A bar that is wrong at its source is mended there and sent again: the mended one counts.
"""

_REVALIDATE_HELP = """
Judge again, by the present rules, every bar that other rules judged.

Bars that pass now leave quarantine, those that fail now go there. The next build reads their slots again and computes what
depends on them. Killed at any moment it loses nothing, and the next one goes on; what the present rules have judged is not
judged again.

  tickhouse quarantine revalidate --dry-run    says what would move, and moves nothing
  tickhouse quarantine revalidate
  tickhouse build
"""

Topic = Annotated[str | None, typer.Option(help="Another topic than kafka.topic.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    quarantine = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode="rich")
    quarantine.command("list")(quarantine_list)
    quarantine.command("show")(quarantine_show)
    quarantine.command("revalidate", help=_REVALIDATE_HELP)(quarantine_revalidate)
    app.add_typer(quarantine, name="quarantine", rich_help_panel="Data through")


def quarantine_list(
    symbol: Annotated[str | None, typer.Option(help="Only rows of this symbol.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only since a time in UTC (2026-01-31T12:00), or for so long (90s, 15m, 2h, 7d).")
    ] = None,
    topic: Topic = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many, the newest; 0 for all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: an object a line.")] = False,
) -> None:
    """List quarantined bars, the newest first, and count them by rule and by symbol."""
    from apps.cli.letters import letters_console
    from apps.cli.quarantined import json_lines, list_report

    wanted, book = _wanted(symbol, rule, since), _open(topic)
    if as_json:
        for line in json_lines(book, wanted, limit):
            typer.echo(line)
    else:
        letters_console().print(list_report(book, wanted, limit))


def quarantine_show(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="PARTITION/OFFSET, such as 0/1234, as the list shows them.")],
    topic: Topic = None,
) -> None:
    """Show everything about a quarantined bar: what it says, what it broke and what that means, its slot, who judged it when."""
    from rich.console import Console

    from apps.cli.quarantined import row_report

    book = _open(topic)
    Console(soft_wrap=True).print(row_report(book, book.read(book.place(place))))


def quarantine_revalidate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would move, and write nothing.")] = False,
) -> None:
    """Its help is `_REVALIDATE_HELP`."""
    from apps.cli.quarantined import revalidate_with_progress

    if not revalidate_with_progress(start(), is_dry=dry_run):
        raise typer.Exit(1)


def _wanted(symbol: str | None, rule: str | None, since: str | None) -> Wanted:
    from apps.cli.letters import parse_since
    from transform.validation.quarantine_book import Wanted
    from transform.validation.suite import rule_meanings

    if rule is not None and rule not in (known := rule_meanings()):
        raise typer.BadParameter(f"there is no rule {rule!r}, only {', '.join(known)}", param_hint="--rule")
    return Wanted(symbol, rule, None if since is None else parse_since(since, datetime.now(UTC)))


def _open(topic: str | None) -> QuarantineBook:
    from tickhouse.storage import open_storage
    from transform.validation.quarantine_book import QuarantineBook

    settings = start("kafka", topic=topic)
    return QuarantineBook(open_storage(settings), settings.kafka.topic)
