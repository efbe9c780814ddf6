"""The command that tells people of alerts."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.start import start

_HELP = """
Tell people of alerts, by webhook, Slack, e-mail and whatever else apprise knows, until Ctrl-C.

Each channel of the settings gets what the ledger of alerts records, in its order, at least once: one that is out gets it when
it is back, and after a kill a message may come twice, with the same reference. Of history nobody is told.

  export DESK_URL='json://example.com/alerts'
  export TICKHOUSE_DELIVERY__CHANNELS='[{"name": "desk", "url_variable": "DESK_URL", "min_severity": "medium"}]'
  tickhouse deliver --test desk    a message that says that it works
  tickhouse deliver

docs/alerts.md tells the rest.
"""


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command(rich_help_panel="Data through", help=_HELP)(deliver)


def deliver(
    is_once: Annotated[bool, typer.Option("--once", help="Deliver what waits, once; exit with 1 when a channel is out.")] = False,
    tested: Annotated[
        str | None, typer.Option("--test", metavar="CHANNEL", help="Send this channel a message that says that it works.")
    ] = None,
) -> None:
    """Its help is `_HELP`."""
    from apps.cli.telling import deliver_once, deliver_until_stopped, test_channel

    settings = start()
    if tested is not None:
        test_channel(settings, tested)
    elif is_once:
        deliver_once(settings)
    else:
        deliver_until_stopped(settings)
