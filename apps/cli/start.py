"""What every command does first: load the settings, change what its options say, set up logging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.cli.errors import describe_refusals

if TYPE_CHECKING:
    from tickhouse.settings import Settings


def start(group: str | None = None, **changes: Any) -> Settings:
    """The settings with `changes` made to the group of that name; an option that is None changes nothing.

    Raises ValueError when a value is refused.
    """
    from tickhouse.logging import configure_logging
    from tickhouse.settings import load_settings

    settings = load_settings()
    if group is not None:
        settings = with_changes(settings, group, **{name: value for name, value in changes.items() if value is not None})
    configure_logging(settings)
    return settings


def with_changes(settings: Settings, group: str, **changes: Any) -> Settings:
    """`settings` with some of a group's values replaced. Raises ValueError when one is refused."""
    from pydantic import ValidationError

    before = getattr(settings, group)
    try:
        after = type(before).model_validate({**before.model_dump(), **changes})
    except ValidationError as error:
        raise ValueError(describe_refusals(error, group)) from None
    return settings.model_copy(update={group: after})
