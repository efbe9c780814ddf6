"""The `tickhouse` command: its groups, and what its help teaches."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli import delivering, dlq, feeding, freshness, kafka, pipeline, proving, quarantine, serving, setup
from apps.cli.demo import command as demo
from apps.cli.errors import Commands

_HELP = """
A stock-market lakehouse: bars enter through Kafka, land exactly once as Parquet, are validated,
modelled into indicators and alerts, and are served to people and programs.

[bold]Begin with[/bold]   tickhouse demo   everything at once, on real prices

[bold]Or part by part[/bold], each in a terminal of its own:

  tickhouse broker            a Kafka broker on this machine
  tickhouse ingest            lands what the topic holds
  tickhouse replay sample     sends 12,154 daily bars of five stocks
  tickhouse build             validates, models and publishes what has landed
  tickhouse api               then: curl localhost:8000/symbols
  tickhouse status            how far each part has come

[bold]Then[/bold]   tickhouse settings   lists what can be set, and how
"""

app = typer.Typer(
    cls=Commands,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """`debug` is read where errors are told."""


for part in (demo, kafka, feeding, dlq, pipeline, quarantine, freshness, delivering, proving, serving, setup):
    part.register(app)
