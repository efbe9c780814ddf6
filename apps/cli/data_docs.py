"""`tickhouse docs validation`: how far it is, and what it came to."""

from __future__ import annotations

import typer
from rich.console import Console

from apps.cli.progress import showing_progress
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.validation.data_docs import DataDocs, build_data_docs


def build_with_progress(settings: Settings) -> None:
    """Build the docs and tell where they are."""
    with showing_progress(Console(stderr=True), "bars documented") as show:
        show(0, None)
        came_to = build_data_docs(settings, open_storage(settings), lambda rows: show(rows, None))
    typer.echo(data_docs_text(came_to))


def data_docs_text(came_to: DataDocs) -> str:
    """A line or two."""
    lines = [f"{came_to.index}: {came_to.added:,} runs added, {came_to.removed:,} removed that were too old"]
    if came_to.left_out:
        lines.append(f"{came_to.left_out:,} runs were judged by other rules: `tickhouse quarantine revalidate` judges them again")
    return "\n".join(lines)
