"""Commands for what turns landed bars into published tables."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.start import start

_PANEL = "Data through"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL)(build)
    app.command(rich_help_panel=_PANEL)(dagster)
    app.command(rich_help_panel=_PANEL)(status)


def build() -> None:
    """Validate, model and publish what has landed, once, without Dagster."""
    from transform.build import run_build

    run_build(start(), on_stage=typer.echo)


def dagster() -> None:
    """Run Dagster until Ctrl-C: web server, daemon and code server. Its sensor builds whenever bars land."""
    from apps.cli.dagster_stack import run_dagster

    run_dagster(start(), say=typer.echo)


def status(
    is_watching: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a look.")] = False,
) -> None:
    """How far each part has come: lag, last slot and its age by partition, what holds publishing up, the newest snapshot."""
    from apps.cli.status_watch import show_status, watch_status

    (watch_status if is_watching else show_status)(start(), as_json=as_json)
