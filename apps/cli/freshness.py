"""Commands that hold what is published to the exchanges' calendars: late series, trading days without a bar."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.start import start

_PANEL = "Data through"

_FRESHNESS_HELP = """
Tell of every series whether the bar is there that its exchange's schedule has due by now; exit with 1 when one is stale.

Weekends, holidays and lunch breaks age nothing, a half day's bar is due at its early close, crypto is always open. Replayed
history is not stale, for nobody promised that it goes on.

  tickhouse freshness            the gravest first
  tickhouse freshness --json     for programs: an object a line

docs/freshness.md tells the rest.
"""

_GAPS_HELP = """
List trading days without a bar, by symbol, as its exchange's calendar has them.

Nothing is missing before a symbol's first daily bar or after its last: what is late, tickhouse freshness tells.

  tickhouse gaps
  tickhouse gaps --json    for programs: an object a line, with every day
"""

Limit = Annotated[int, typer.Option(min=0, help="At most so many lines; 0 for all.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: an object a line, all of them.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL, help=_FRESHNESS_HELP)(freshness)
    app.command(rich_help_panel=_PANEL, help=_GAPS_HELP)(gaps)


def freshness(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Its help is `_FRESHNESS_HELP`."""
    from apps.cli.freshness_report import tell_freshness

    tell_freshness(start(), limit=limit, as_json=as_json)


def gaps(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Its help is `_GAPS_HELP`."""
    from apps.cli.freshness_report import tell_gaps

    tell_gaps(start(), limit=limit, as_json=as_json)
