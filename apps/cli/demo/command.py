"""The `demo` command."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.start import start

_PANEL = "Everything at once"


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command(rich_help_panel=_PANEL)(demo)


def demo(
    is_exiting: Annotated[bool, typer.Option("--exit", help="Replay all at full speed, check, stop everything.")] = False,
    live_dates: Annotated[int, typer.Option(min=0, help="How many of the last trading dates are replayed live.")] = 252,
    live_rate: Annotated[float, typer.Option(min=0.1, help="Bars a second while live; a trading date has five.")] = 20.0,
    is_chaotic: Annotated[
        bool, typer.Option("--chaos", help="Kill ingestor, broker and builds while it replays, check, stop everything.")
    ] = False,
    kills: Annotated[int, typer.Option(min=1, help="How often --chaos kills each of them.")] = 3,
    deadline: Annotated[float, typer.Option(min=1, help="Give up after so many seconds without everything published.")] = 600.0,
) -> None:
    """Everything at once, on real prices, until Ctrl-C: broker, ingestor, Dagster, API, pages, dbt docs.

    It keeps to a folder of its own, `demo` in the data folder, which it empties first.

    With --chaos it replays more slowly, in one to two minutes, and kills (SIGKILL) the ingestor, the broker and builds in
    the midst of their work. Each comes back, and in the end every bar must have come through, once.
    """
    from rich.console import Console

    from apps.cli.demo.demo import run_demo
    from apps.cli.demo.plan import DemoOptions

    options = DemoOptions(is_exiting or is_chaotic, live_dates, live_rate, deadline, kills if is_chaotic else 0)
    run_demo(start(), options, Console())
