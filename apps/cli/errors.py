"""How the command line tells what went wrong: one clear line, and a traceback only when asked."""

from __future__ import annotations

import io
import logging
import select
import sys
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import Abort, Exit, TyperException

FAILED = 1
REFUSED = 2
"""The exit code when settings or arguments are at fault, and nothing was begun."""


class Commands(TyperGroup):
    """A group of commands whose errors end in a line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A ValueError exits with `REFUSED`, any other error with `FAILED`.

        Who reads the output may have had enough of it (`| head`): then it ends, and nothing is said.
        """
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
            return answer
        except (Exit, Abort, TyperException):
            raise
        except Exception as error:
            if _is_debugging(ctx) or (isinstance(error, BrokenPipeError) and _is_output_closed()):
                raise
            typer.echo(f"tickhouse: {describe_error(error)}", err=True)
            raise Exit(REFUSED if isinstance(error, ValueError) else FAILED) from None


def describe_error(error: Exception) -> str:
    """What to tell a person: the message alone where it is ours, with the kind of error where it is not."""
    if hasattr(error, "errors") and hasattr(error, "error_count"):  # pydantic's ValidationError, not imported for its weight
        return describe_refusals(error)
    message = str(error) or repr(error)
    ours = type(error).__module__.split(".")[0] in ("tickhouse", "ingestion", "transform", "orchestration", "apps")
    if ours or isinstance(error, ValueError | OSError):
        return message
    return f"{type(error).__name__}: {message} (--debug shows where)"


def describe_refusals(error: Any, group: str | None = None) -> str:
    """A line for each setting that pydantic's ValidationError refuses; `group` is where in the settings it looked."""
    return "\n".join(_refusal(entry, group) for entry in error.errors())


def _refusal(entry: dict[str, Any], group: str | None) -> str:
    name = ".".join(str(part) for part in ((group,) if group else ()) + tuple(entry["loc"]))
    reason = entry["msg"].removeprefix("Value error, ")
    given = "" if isinstance(entry["input"], dict) else f" (given: {entry['input']!r})"
    return f"setting {name}: {reason}{given}" if name else reason


def _is_output_closed() -> bool:
    """Whether nobody reads our output any more: then it was this that broke, which typer ends without a word."""
    try:
        output = sys.stdout.fileno()
    except io.UnsupportedOperation:  # it is no file but a test's
        return False
    poll = select.poll()
    poll.register(output, 0)  # an error is told whether asked for or not
    return bool(poll.poll(0))


def _is_debugging(ctx: Any) -> bool:
    return bool(ctx.params.get("debug")) or logging.getLogger().getEffectiveLevel() <= logging.DEBUG
