"""Ports that a command is to listen on: each is free, and wanted once, before anything is started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from apps.cli.readiness import is_free
from tickhouse.settings import PREFIX, Settings

Address = tuple[str, str, int]
"""The setting that holds the port, the host, and the port."""


def address(settings: Settings, part: str) -> Address:
    """Where the `api`, the `pages`, the `docs` or `dagster` listens."""
    chosen = getattr(settings, part)
    return f"{part}.port", chosen.host, chosen.port


def dagster_addresses(settings: Settings) -> list[Address]:
    chosen = settings.dagster
    return [address(settings, "dagster"), ("dagster.code_server_port", chosen.host, chosen.code_server_port)]


def refuse_taken_ports(addresses: Sequence[Address]) -> None:
    """Raises ValueError that names every setting whose port is taken, or wanted twice."""
    wanted: dict[int, list[str]] = defaultdict(list)
    taken = []
    for name, host, port in addresses:
        wanted[port].append(name)
        if not is_free(host, port):
            variable = PREFIX + name.replace(".", "__").upper()
            taken.append(f"port {port} of {host} is taken by another program: set {name} ({variable}) to a free one")
    twice = [
        f"port {port} is wanted by {' and '.join(names)}: give each its own" for port, names in wanted.items() if len(names) > 1
    ]
    if taken or twice:
        raise ValueError("\n".join(["nothing was started.", *taken, *twice]))
