"""Commands for what goes into and out of Kafka."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from apps.cli.start import start

_PANEL = "Data in"

Map = Annotated[str | None, typer.Option("--map", metavar="FIELD=COLUMN,…", help="Which column is which field of a bar.")]
Symbol = Annotated[str | None, typer.Option(help="The symbol, for a file without such a column.")]
Interval = Annotated[str | None, typer.Option(help="The bars' length: 1m, 5m, 1h, 1d, … Inferred when left out.")]
Source = Annotated[str | None, typer.Option(help="The feed's name, kept with every bar. The file's name when left out.")]
Rate = Annotated[float | None, typer.Option(help="Bars a second; as fast as the broker takes them when left out.")]
MaxMessages = Annotated[int | None, typer.Option(help="Stop after so many.")]
Loop = Annotated[bool | None, typer.Option("--loop/--no-loop", help="Begin again at the end, until stopped.", show_default=False)]
Acks = Annotated[Literal["all", "1", "0"] | None, typer.Option(help="Broker acknowledgements to wait for.")]
Feed = Annotated[
    str, typer.Argument(metavar="FILE|sample", help="A CSV or Parquet file, or the sample: five stocks, 13 years, daily.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(rich_help_panel=_PANEL)(broker)
    topic = typer.Typer(no_args_is_help=True, help="The Kafka topic that bars travel on.")
    topic.command("create")(topic_create)
    topic.command("describe")(topic_describe)
    app.add_typer(topic, name="topic", rich_help_panel=_PANEL)
    app.command(rich_help_panel=_PANEL)(replay)
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


def replay(
    feed: Feed,
    columns: Map = None,
    symbol: Symbol = None,
    interval: Interval = None,
    source: Source = None,
    rate: Rate = None,
    max_messages: MaxMessages = None,
    loop: Loop = None,
    acks: Acks = None,
) -> None:
    """Send a feed's bars to Kafka, in the order of their time. Known column names are recognised.

    tickhouse replay sample --rate 20
    tickhouse replay prices.csv --map ts=day,close=last --symbol HSI
    """
    from apps.cli.replaying import read_feed, replay_with_progress

    settings = start("producer", rate=rate, max_messages=max_messages, loop=loop, acks=acks)
    replay_with_progress(settings, read_feed(feed, columns=columns, symbol=symbol, interval=interval, source=source))


def ingest() -> None:
    """Land what the topic holds, and all that comes, as Parquet: exactly once, until Ctrl-C."""
    from apps.cli.ending import stop_on_signals
    from ingestion.ingestor import run_ingestor

    with stop_on_signals() as stop:
        run_ingestor(start(), stop)
