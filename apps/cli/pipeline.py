"""Commands for what turns landed bars into published tables."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.start import start

_PANEL = "Data through"

_COMPACT_HELP = """
Merge landed slots into archives: few large files, sorted by symbol and time,
of about 8 bytes a bar.

A slot is deleted once its archive is durable and was read back bar for bar.
Ingestors and builds may go on meanwhile. Killed at any moment it loses
nothing, and the next one finishes.

tickhouse compact        whole archives: 1,000,000 bars or 20,000 slots
tickhouse compact --all  what is left over too; such an archive stays small

Run it once a day, say. It needs 0.7 GB of memory for a million bars an
archive.
"""


_BACKFILL_HELP = """
Rebuild event months: read their bars again, judge them by the present rules,
and bring all that depends on them up to date.

tickhouse backfill --from 2008-01 --to 2009-12
tickhouse backfill --from 2008-01 --to 2009-12 --dry-run

A month is one of the calendar, in UTC, that bars begin in; both are included.
What comes out is what `tickhouse build --full-refresh` makes, to the bit, and
costs what follows the months. Ingestors and builds may go on meanwhile.
Killed at any moment it loses nothing: the next build finishes what was begun,
and running it again does the rest.
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL)(build)
    app.command(rich_help_panel=_PANEL, help=_BACKFILL_HELP)(backfill)
    app.command(rich_help_panel=_PANEL)(publish)
    app.command(rich_help_panel=_PANEL, help=_COMPACT_HELP)(compact)
    app.command(rich_help_panel=_PANEL)(dagster)
    app.command(rich_help_panel=_PANEL)(status)


def build(
    is_full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Read every validated slot again and compute every model anew.")
    ] = False,
) -> None:
    """Validate, model and publish what has landed, once, without Dagster."""
    from transform.build import run_build

    run_build(start(), on_stage=typer.echo, is_full_refresh=is_full_refresh)


def backfill(
    first: Annotated[str, typer.Option("--from", metavar="MONTH", help="The first month, such as 2008-01.")],
    last: Annotated[str, typer.Option("--to", metavar="MONTH", help="The last month, which is included.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell how much would be read again, and do nothing.")] = False,
) -> None:
    """Its help is `_BACKFILL_HELP`."""
    from apps.cli.backfilling import backfill_with_progress
    from transform.months import Months

    backfill_with_progress(start(), Months.between(first, last), is_dry=dry_run)


def publish() -> None:
    """Publish what the warehouse holds, again if it was published: nothing is computed."""
    from tickhouse.storage import open_storage
    from transform.build_lock import build_lock
    from transform.publication import publish_warehouse

    settings = start()
    with build_lock(settings):
        manifest = publish_warehouse(settings, open_storage(settings))
    typer.echo(f"the newest snapshot is {manifest.number}")


def compact(
    is_partial: Annotated[bool, typer.Option("--all", help="Archive also what does not fill an archive.")] = False,
    rows: Annotated[int, typer.Option(min=1, help="Bars that fill an archive; memory grows with them.")] = 1_000_000,
) -> None:
    """Its help is `_COMPACT_HELP`."""
    from apps.cli.compacting import compact_with_progress
    from ingestion.chain.compaction import ArchiveSize

    compact_with_progress(start(), ArchiveSize(rows=rows, is_partial=is_partial))


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
