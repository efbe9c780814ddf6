"""The groups of settings about what people are told: of alerts, and of the platform's own failures."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from tickhouse.settings.groups import AlertRule, Group, Severity, Text


def refuse_our_prefix(name: str) -> str:
    """Raises ValueError for the name of a variable that would be taken for a setting."""
    if name.startswith("TICKHOUSE_"):
        raise ValueError(f"{name} would be taken for a setting: give the variable a name without TICKHOUSE_")
    return name


class ChannelSettings(Group):
    """A channel that people are told by; its address is a secret, and so in a variable of the environment.

    Severity, symbols and rules choose among alerts; `incidents` are the platform's own failures.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    url_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$"), AfterValidator(refuse_our_prefix)]
    min_severity: Severity = "low"
    symbols: tuple[Text, ...] = ()
    rules: tuple[AlertRule, ...] = ()
    alerts: bool = True
    incidents: bool = True


def _refuse_one_name_twice(channels: tuple[ChannelSettings, ...]) -> tuple[ChannelSettings, ...]:
    for name, times in Counter(channel.name for channel in channels).items():
        if times > 1:
            raise ValueError(f"{times} channels are called {name}: a channel's name is its own")
    return channels


class DeliverySettings(Group):
    channels: Annotated[tuple[ChannelSettings, ...], AfterValidator(_refuse_one_name_twice)] = Field(
        (),
        description="Whom alerts and incidents are told: a list of "
        "`{name, url_variable, min_severity, symbols, rules, alerts, incidents}`. `url_variable` names the variable of the "
        "environment that holds the channel's address, as apprise writes it.",
    )
    look_seconds: PositiveInt = Field(5, description="How often Dagster looks for alerts that wait for a channel.")
    digest_from: PositiveInt = Field(5, description="So many alerts that wait for a channel are told in one message.")
    timeout_seconds: PositiveFloat = Field(20.0, description="A message that is not taken so soon is sent again.")
    max_backoff_seconds: PositiveFloat = Field(300.0, description="A channel that is out is tried again at least this often.")
    history: bool = Field(
        False, description="Tell of every alert, however old its bar. Off: of history and backfills nobody is told anything."
    )
    max_age_hours: PositiveFloat = Field(72.0, description="An alert is told of when its bar ended no longer ago than this.")


class IncidentSettings(Group):
    look_seconds: PositiveInt = Field(30, description="How often Dagster looks for failed runs and checks, stale assets, lag.")
    calm_seconds: NonNegativeFloat = Field(
        60.0, description="An incident is over, and its recovery told, once all has been well for so long: no flapping."
    )
    lag_seconds: PositiveFloat = Field(
        300.0, description="A stage is late when it has not caught up so long with what the stage before it had."
    )
    lag_rows: PositiveInt | None = Field(
        None, description="Landing is late at once when Kafka holds more offsets of a partition than so many above it."
    )
    stale_checks: tuple[Text, ...] = Field(
        ("*fresh*",),
        description="Names of asset checks that tell of stale assets, `*` for any letters: they count even where they only warn.",
    )
