"""A case as a process of its own, which answers with one line of JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TAIL_LINES = 20


class CaseError(RuntimeError):
    """A case did not come to its end; the message holds the tail of what it said."""


def run_process(command: Sequence[str], environment: Mapping[str, str], timeout_seconds: float = 600.0) -> dict[str, float]:
    """The figures that a program prints as the last line of its standard output, run in the project's folder.

    Raises CaseError when it fails, prints no figures, or takes longer.
    """
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        raise CaseError(f"not done after {timeout_seconds:g} s: {' '.join(command)}") from None
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        figures: dict[str, float] = json.loads(lines[-1])
        return figures
    tail = "\n".join([*lines, *done.stderr.splitlines()][-_TAIL_LINES:])
    raise CaseError(f"exit {done.returncode} of {' '.join(command)}\n{tail}")
