"""Telling people of alerts from the command line: until told to stop, once, or as a test."""

from __future__ import annotations

import typer

from apps.cli.ending import stop_on_signals
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.alerts.channel import Channel, ChannelError, open_channels
from transform.alerts.delivery import deliver_all, open_deliveries, run_delivery
from transform.alerts.message import Message
from transform.alerts.waiting import delivering


def deliver_until_stopped(settings: Settings) -> None:
    """Deliver whatever comes, until a signal says stop."""
    channels = _channels(settings)
    with stop_on_signals() as stop, delivering(settings):
        typer.echo(f"Delivering alerts to {', '.join(channel.name for channel in channels)}, until Ctrl-C")
        run_delivery(settings, open_storage(settings), channels, stop)


def deliver_once(settings: Settings) -> None:
    """Deliver what waits; exit with 1 when a channel is out."""
    channels = _channels(settings)
    with delivering(settings):
        down = deliver_all(open_deliveries(settings, open_storage(settings), channels), channels)
    if down:
        typer.echo(f"Out, and what is for them waits: {', '.join(down)}", err=True)
        raise typer.Exit(1)


def test_channel(settings: Settings, name: str) -> None:
    """Send the channel a message that says that it works; exit with 1 when it does not."""
    channels = {channel.name: channel for channel in _channels(settings)}
    if name not in channels:
        raise typer.BadParameter(f"there is no channel {name!r} in delivery.channels, only {', '.join(channels)}")
    message = Message(title="tickhouse reaches you", body=f"Alerts come to the channel {name}.", severity="low", keys=())
    if not channels[name].sender.send(message):
        typer.echo(f"{name} did not take the message; what apprise says of it is above.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name} took the message.")


def _channels(settings: Settings) -> list[Channel]:
    try:
        channels = open_channels(settings.delivery)
    except ChannelError as error:
        raise typer.BadParameter(str(error), param_hint="delivery.channels") from None
    if not channels:
        typer.echo("There is no channel to deliver to: `tickhouse deliver --help` shows how to set one.", err=True)
        raise typer.Exit(1)
    return channels
