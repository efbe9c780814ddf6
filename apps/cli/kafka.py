"""Commands for what goes into and out of Kafka."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.asking import ask
from apps.cli.start import start

_PANEL = "Data in"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL)(broker)
    topic = typer.Typer(no_args_is_help=True, help="The Kafka topic that bars travel on.")
    topic.command("create")(topic_create)
    topic.command("describe")(topic_describe)
    topic.command("adopt")(topic_adopt)
    app.add_typer(topic, name="topic", rich_help_panel=_PANEL)
    app.command(rich_help_panel=_PANEL)(ingest)


def broker() -> None:
    """Run a Kafka broker on this machine until Ctrl-C. It keeps its data in the data folder."""
    from ingestion.broker import run_broker

    run_broker(start())


def topic_create() -> None:
    """Make the topic of the settings; one that exists is left as it is."""
    from apps.cli.topic import topic_text
    from ingestion.topic import ensure_topic

    typer.echo(topic_text(ensure_topic(start())))


def topic_describe() -> None:
    """The topic as the broker has it: its id, partitions, and whose clock its messages carry."""
    from apps.cli.topic import topic_text
    from ingestion.topic import describe_topic

    typer.echo(topic_text(describe_topic(start())))


def topic_adopt(yes: Annotated[bool, typer.Option("--yes", help="Give them up without asking.")] = False) -> None:
    """Go on where Kafka dropped messages before they landed: shows which, asks, and gives them up for good."""
    from apps.cli.adopting import adopt_topic

    adopt_topic(start(), confirm=lambda question: yes or ask(question, "say --yes to go on"), say=typer.echo)


def ingest() -> None:
    """Land what the topic holds, and all that comes, as Parquet: exactly once, until Ctrl-C.

    Run several, here or on other machines: each takes some partitions, and when one dies the others take over.
    metrics.port (TICKHOUSE_METRICS__PORT) serves its metrics and health; two on one machine need two.

    What may pass is waited for. Exit codes: 0 told to end, 1 somebody must decide, 2 a setting was refused.
    """
    from apps.cli.ending import stop_on_signals
    from ingestion.ingestor import run_ingestor

    with stop_on_signals() as stop:
        run_ingestor(start(), stop)
