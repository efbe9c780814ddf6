"""Commands for what people and programs touch: the API, the pages, the models' documentation."""

from __future__ import annotations

import typer

from apps.cli.start import start

_PANEL = "People and programs"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL)(api)
    app.command(rich_help_panel=_PANEL)(pages)
    docs = typer.Typer(
        no_args_is_help=True, help="The documentation of models and data: every column, the lineage, what validation found."
    )
    docs.command("build")(docs_build)
    docs.command("serve")(docs_serve)
    docs.command("validation")(docs_validation)
    docs.command("freshness")(docs_freshness)
    app.add_typer(docs, name="docs", rich_help_panel=_PANEL)


def api() -> None:
    """Serve the published snapshot over HTTP; the endpoints are listed at /docs."""
    from apps.api.main import run_api
    from apps.cli.ports import address, refuse_taken_ports

    settings = start()
    refuse_taken_ports([address(settings, "api")])
    run_api(settings)


def pages() -> None:
    """Serve the pages: charts, indicators and alerts, for a browser."""
    from apps.cli.ports import address, refuse_taken_ports
    from apps.dashboard.main import run_pages

    settings = start()
    refuse_taken_ports([address(settings, "pages")])
    run_pages(settings)


def docs_build() -> None:
    """Write the models' documentation as one page, with the warehouse's types and sizes."""
    from transform.build_lock import build_lock
    from transform.dbt import generate_docs

    settings = start()
    with build_lock(settings):
        typer.echo(generate_docs(settings))


def docs_serve() -> None:
    """Serve the models' documentation, and below /validation/ Great Expectations' Data Docs, built when they are opened."""
    from apps.cli.docs_site import serve_docs

    serve_docs(start())


def docs_validation() -> None:
    """Build Great Expectations' Data Docs: what validation found of late, rule by rule, as pages."""
    from apps.cli.data_docs import build_with_progress

    build_with_progress(start())


def docs_freshness() -> None:
    """Tell whether the models' source is fresh, by the exchanges' calendars; exit with 1 when a live series of it is stale."""
    from apps.cli.freshness_report import tell_sources

    tell_sources(start())
