"""The command that sends a feed's bars to Kafka."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import typer

from apps.cli.start import start

_FILE = "A file"
_SYNTHETIC = "The synthetic feed"

FeedName = Annotated[
    str,
    typer.Argument(
        metavar="FILE|sample|synthetic",
        help="A CSV or Parquet file; the sample: five stocks, 13 years, daily; or made-up bars, as many as wanted.",
    ),
]
Rate = Annotated[float | None, typer.Option(help="Bars a second; as fast as the broker takes them when left out.")]
Speed = Annotated[str | None, typer.Option(metavar="N|Nx", help="By the bars' own time: at 60x a minute of bars takes a second.")]
MaxMessages = Annotated[int | None, typer.Option(help="Stop after so many.")]
Loop = Annotated[bool | None, typer.Option("--loop/--no-loop", help="Begin again at the end, until stopped.", show_default=False)]
Resume = Annotated[
    bool | None,
    typer.Option("--resume/--no-resume", help="Go on where a replay of this feed stopped or was killed.", show_default=False),
]
Restart = Annotated[bool, typer.Option("--restart", help="Forget how far it had come; resumable from then on.")]
Acks = Annotated[Literal["all", "1", "0"] | None, typer.Option(help="Broker acknowledgements to wait for.")]
Interval = Annotated[
    str | None, typer.Option(help="The bars' length: 1m, 5m, 1h, 1d, … Inferred from a file, 1m for made-up bars, when left out.")
]
Map = Annotated[
    str | None,
    typer.Option("--map", metavar="FIELD=COLUMN,…", help="Which column is which field of a bar.", rich_help_panel=_FILE),
]
Symbol = Annotated[str | None, typer.Option(help="The symbol, for a file without such a column.", rich_help_panel=_FILE)]
Source = Annotated[
    str | None, typer.Option(help="The feed's name, kept with every bar. The file's name when left out.", rich_help_panel=_FILE)
]
Symbols = Annotated[int | None, typer.Option(help="How many symbols; 100 when left out.", rich_help_panel=_SYNTHETIC)]
Bars = Annotated[int | None, typer.Option(help="How many bars of each symbol.", rich_help_panel=_SYNTHETIC)]
Days = Annotated[
    float | None, typer.Option(help="Instead of --bars: how many days; 1 when left out.", rich_help_panel=_SYNTHETIC)
]
Seed = Annotated[int | None, typer.Option(help="Another seed, other bars; 0 when left out.", rich_help_panel=_SYNTHETIC)]
FirstTime = Annotated[
    datetime | None,
    typer.Option("--start", help="The first bar's time, UTC; 2000-01-03 when left out.", rich_help_panel=_SYNTHETIC),
]
Drift = Annotated[float | None, typer.Option(help="A year's, as a fraction; 0.05 when left out.", rich_help_panel=_SYNTHETIC)]
Volatility = Annotated[float | None, typer.Option(help="A year's, as a fraction; 0.4 when left out.", rich_help_panel=_SYNTHETIC)]


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command(rich_help_panel="Data in")(replay)


def replay(
    feed: FeedName,
    rate: Rate = None,
    speed: Speed = None,
    max_messages: MaxMessages = None,
    loop: Loop = None,
    resume: Resume = None,
    restart: Restart = False,
    acks: Acks = None,
    interval: Interval = None,
    columns: Map = None,
    symbol: Symbol = None,
    source: Source = None,
    symbols: Symbols = None,
    bars: Bars = None,
    days: Days = None,
    seed: Seed = None,
    first_time: FirstTime = None,
    drift: Drift = None,
    volatility: Volatility = None,
) -> None:
    """Send a feed's bars to Kafka, in the order of their time. Known column names are recognised.

    tickhouse replay sample --rate 20
    tickhouse replay prices.csv --map ts=day,close=last --symbol HSI
    tickhouse replay synthetic --symbols 5000 --interval 1m --days 2 --resume
    """
    from apps.cli.replaying import open_feed, replay_with_progress

    pace = {"rate": rate, "speed": speed, "max_messages": max_messages, "loop": loop}
    settings = start("producer", **pace, resume=True if restart else resume, acks=acks)
    file = {"map": columns, "symbol": symbol, "source": source}
    made = {"symbols": symbols, "bars": bars, "days": days, "seed": seed, "start": first_time}
    options = {"interval": interval, **file, **made, "drift": drift, "volatility": volatility}
    replay_with_progress(settings, open_feed(feed, options), restart=restart)
