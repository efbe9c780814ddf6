"""Commands that look at the installation and make it ready."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from apps.cli.start import start

_PANEL = "Look and set up"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("settings", rich_help_panel=_PANEL)(settings_command)
    app.command(rich_help_panel=_PANEL)(prepare)
    app.command(rich_help_panel=_PANEL)(version)


def settings_command(
    shape: Annotated[Literal["text", "yaml", "env", "markdown"], typer.Option("--format", help="How to print them.")] = "text",
) -> None:
    """Every setting: its name, environment variable, present value, default and meaning."""
    from apps.cli.listing import list_settings, print_settings

    print_settings(list_settings(start()), shape)


def prepare() -> None:
    """Fetch Kafka and parse the dbt project, so that nothing else has to wait for them."""
    from apps.cli.preparing import prepare_installation

    prepare_installation(start(), say=typer.echo)


def version() -> None:
    """The installed version."""
    from importlib.metadata import version as installed

    typer.echo(f"tickhouse {installed('tickhouse')}")
