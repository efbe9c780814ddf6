"""How fresh the sources of the models are, in a line each."""

from __future__ import annotations

import typer

from tickhouse.settings import Settings
from transform.dbt import check_freshness
from transform.warehouse import build_lock


def tell_freshness(settings: Settings) -> None:
    """Tell it; exit with 1 when a source is stale by its own word."""
    with build_lock(settings):
        found = check_freshness(settings)
    for each in found:
        newest = "no row yet" if each.loaded_at is None else f"newest row of {each.loaded_at:%Y-%m-%d %H:%M:%S} UTC"
        typer.echo(f"{each.source}: {each.status}, {newest}")
    if any(each.status not in ("pass", "warn") for each in found):
        raise typer.Exit(1)
