"""Commands by which the lake proves itself."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.start import start

_PANEL = "Proof"

_EXPLAIN_HELP = """
Where a published value comes from, and whether that holds: on one screen.

From the snapshot to the bar, its slot and its place in Kafka, the validation record, the build and the rule. Indicators are
computed again from all bars of the series, a derived bar is made again of its finer ones, rows are read back from the lake.

  tickhouse explain AAPL 2008-10-10 rsi_14        an indicator, or any column of a bar
  tickhouse explain AAPL 2000-09-29 price_change  the alert of a rule, or why there is none
  tickhouse explain AAPL 2013-02-25 close --interval 1w

The exit code is 1 when something does not hold. It waits for a build that is running.
"""


_VERIFY_HELP = """
Look at everything that landed and everything that is published, and name what does not add up.

Every chain is walked, slot by slot: checksums, offsets, dead letters, validation records, quarantine. Then two balances:
produced = landed + dead letters, and landed = current + superseded + quarantined, the latter counted from the lake and held
against the newest snapshot. Of every snapshot that is kept each file is read: bytes, rows, order, one row a key.

  tickhouse verify           reads the whole lake once; changes nothing, and stops nobody
  tickhouse verify --topic   reads the whole topic too: each message must be a bar or a dead letter, and nothing else may be

The exit code is 1 when something does not add up. It needs up to 2 GB of memory, and 30 bytes of disk a bar while it runs.
"""


_REBUILD_HELP = """
Make the warehouse and a snapshot anew from the lake alone, and compare them with what was published.

The slots that the newest snapshot covers are read, and every model is computed from the first bar on. The new warehouse then
takes the old one's place, and is published. Use it when the warehouse is lost or doubted, or to prove that what is published
is what landed. What landed since the newest snapshot comes with the next build.

The exit code is 1 when contents differ. Builds wait for it; readers do not. Killed at any point it leaves a whole warehouse,
and can be run again. It needs as much disk as the warehouse has, once more.
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL, help=_EXPLAIN_HELP)(explain)
    app.command(rich_help_panel=_PANEL, help=_VERIFY_HELP)(verify)
    app.command(rich_help_panel=_PANEL, help=_REBUILD_HELP)(rebuild)


def explain(
    symbol: Annotated[str, typer.Argument(help="Instrument, as its exchange writes it.")],
    date: Annotated[str, typer.Argument(help="The bar's date, or its time in UTC: 2008-10-10, 2008-10-10T14:30.")],
    column: Annotated[str, typer.Argument(help="A column of fct_indicator, or an alert rule.")],
    interval: Annotated[str | None, typer.Option(help="Length of the bar; 1d where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False,
) -> None:
    """Its help is `_EXPLAIN_HELP`."""
    from apps.cli.explaining import show_explanation

    if not show_explanation(start(), symbol, date, column, interval, as_json=as_json):
        raise typer.Exit(1)


def verify(
    is_topic_read: Annotated[bool, typer.Option("--topic", help="Compare with every message that Kafka still holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False,
) -> None:
    """Its help is `_VERIFY_HELP`."""
    from apps.cli.verifying import show_verification

    if not show_verification(start(), is_topic_read=is_topic_read, as_json=as_json):
        raise typer.Exit(1)


def rebuild(as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False) -> None:
    """Its help is `_REBUILD_HELP`."""
    from apps.cli.rebuilding import show_rebuild

    if not show_rebuild(start(), as_json=as_json):
        raise typer.Exit(1)
