"""Commands for what turns landed bars into published tables."""

from __future__ import annotations

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


def status() -> None:
    """How far each part has come: offsets per partition, lag, the newest snapshot."""
    from rich.console import Console

    from apps.cli.status import read_broker_ends, read_status, status_report
    from ingestion.topic import BrokerUnreachableError, TopicMissingError
    from tickhouse.storage import open_storage

    settings = start()
    ends = {}
    try:
        ends = read_broker_ends(settings)
    except (BrokerUnreachableError, TopicMissingError) as reason:
        typer.echo(f"Without Kafka's side: {reason}", err=True)
    Console().print(status_report(read_status(open_storage(settings), ends)))
