"""Asking a person before something is done that cannot be undone."""

from __future__ import annotations

import sys

import typer


def ask(question: str, otherwise: str) -> bool:
    """Whether somebody says yes. Raises ValueError where nobody is there to ask; `otherwise` says what to do then."""
    if not sys.stdin.isatty():
        raise ValueError(f"{question} Nobody is there to ask: {otherwise}")
    return typer.confirm(question)
