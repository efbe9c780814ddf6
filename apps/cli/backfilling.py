"""`tickhouse backfill`: how far it is, and what it came to."""

from __future__ import annotations

from contextlib import ExitStack

import typer

from apps.cli.progress import Stages
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.backfill import Backfill, Scope, rebuild_months, scope_of
from transform.marts import FCT_INDICATOR
from transform.months import Months


def backfill_with_progress(settings: Settings, months: Months, *, is_dry: bool) -> None:
    """Rebuild the months, or tell how much that would be. Raises as `transform.backfill.rebuild_months` does."""
    storage = open_storage(settings)
    if is_dry:
        typer.echo(scope_text(scope_of(storage, months)))
        return
    with ExitStack() as opened:
        done = rebuild_months(settings, storage, months, Stages(opened).tell)
    typer.echo(backfill_text(done))


def scope_text(scope: Scope) -> str:
    """How much would be read again, in a sentence."""
    if not scope.slots:
        return f"No landed slot has bars of {scope.months}."
    return f"{len(scope.slots):,} slots with {scope.rows:,} bars have some of {scope.months}, and would be read again."


def backfill_text(done: Backfill) -> str:
    """What it came to, in a few lines."""
    scope, judged, changed = done.scope, done.judged, done.changed[FCT_INDICATOR]
    if not scope.slots:
        return f"{scope_text(scope)} Nothing was read again; the newest snapshot is {done.manifest.number}."
    lines = [f"Rebuilt {scope.months}: read {len(scope.slots):,} slots with {scope.rows:,} bars again."]
    if judged.rows:
        moved = f"{judged.released:,} released, {judged.quarantined:,} newly quarantined"
        lines.append(f"Other rules had judged {judged.rows:,} of them: {moved}.")
    if changed:
        lines.append(f"{sum(changed.values()):,} bars with their indicators changed, from {min(changed)} to {max(changed)}.")
    else:
        lines.append("No bar or indicator changed: what was stored is what comes out.")
    lines.append(f"The newest snapshot is {done.manifest.number}.")
    return "\n".join(lines)
