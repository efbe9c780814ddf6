"""The channels that settings name: where they lead to, and which entries are for them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from tickhouse.settings import ChannelSettings, DeliverySettings, read_secret
from transform.alerts.event import AlertEvent
from transform.alerts.message import Message, is_as_grave


class ChannelError(ValueError):
    """A channel cannot be used as settings have it; the message says what to do, and no address."""


class Sender(Protocol):
    """Hands messages to a service."""

    def send(self, message: Message) -> bool:
        """Whether the service took it; False also when that is not known, as after a timeout."""


@dataclass(frozen=True)
class Channel:
    """A channel's name, what it wants to hear, and its way out."""

    settings: ChannelSettings
    sender: Sender

    @property
    def name(self) -> str:
        return self.settings.name

    def wants(self, event: AlertEvent) -> bool:
        chosen = self.settings
        return (
            chosen.alerts
            and is_as_grave(event, chosen.min_severity)
            and (not chosen.symbols or event.symbol in chosen.symbols)
            and (not chosen.rules or event.rule in chosen.rules)
        )


def open_channels(delivery: DeliverySettings) -> list[Channel]:
    """Every channel of the settings. Raises ChannelError when an address is missing, or none that apprise knows."""
    return [open_channel(chosen, delivery) for chosen in delivery.channels]


def open_channel(chosen: ChannelSettings, delivery: DeliverySettings) -> Channel:
    """One of them. Raises as `open_channels` does."""
    return Channel(chosen, AppriseSender(chosen.name, chosen.url_variable, delivery.timeout_seconds))


class AppriseSender:
    """Sends by apprise (https://github.com/caronc/apprise), which knows webhooks, Slack, e-mail and a hundred more."""

    def __init__(self, channel: str, url_variable: str, timeout_seconds: float) -> None:
        import apprise

        _keep_addresses_out_of_logs()
        url = read_secret(url_variable)
        if url is None:
            raise ChannelError(
                f"channel {channel}: put its address into the environment variable {url_variable}, as apprise writes it "
                "(json://host/path, slack://…, mailto://…)"
            )
        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            raise ChannelError(
                f"channel {channel}: apprise does not know the address in {url_variable}. "
                "How each service's is written: https://appriseit.com/services/"
            )
        self._timeout_seconds = timeout_seconds
        notify = apprise.NotifyType
        self._types = {"low": notify.INFO, "medium": notify.WARNING, "high": notify.FAILURE}

    def send(self, message: Message) -> bool:
        """See `Sender`. Errors are in apprise's own log."""
        result = self._apprise.notify(
            body=message.body,
            title=message.title,
            notify_type=self._types[message.severity],
            body_format="text",
            timeout=self._timeout_seconds,
        )
        return bool(result)


def _keep_addresses_out_of_logs() -> None:
    """At DEBUG apprise logs the whole address, and its HTTP client the path, which is the secret of many a webhook."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)
