"""Keeping secrets out of what people are told: an error's text may quote an address with its password."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tickhouse.settings import Settings, read_secret

LONGEST_TEXT = 800
_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_SHORTEST = 4


def secret_variables(settings: Settings) -> tuple[str, ...]:
    """The variables of the environment that hold secrets: channels' addresses, of Dagster's records, the AWS client's own."""
    records = settings.dagster.postgres_url_variable
    return (*(channel.url_variable for channel in settings.delivery.channels), *((records,) if records else ()), *_AWS)


def redact(text: str, variables: Iterable[str]) -> str:
    """The text with each variable's name in place of its value, no user or password in an address, and cut where it is long."""
    for name in variables:
        if (secret := read_secret(name)) is not None and len(secret) >= _SHORTEST:
            text = text.replace(secret, f"[{name}]")
    text = _CREDENTIALS.sub("…@", text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"
