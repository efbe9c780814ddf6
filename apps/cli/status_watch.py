"""Showing the status: once, or again and again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live

from apps.cli.demo.plan import running_demo
from apps.cli.ending import stop_on_signals
from apps.cli.status_report import status_json, status_report
from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.status import Status, read_kafka_side, read_status

LOOK_SECONDS = 2.0
_PIPED_WIDTH = 120


def show_status(settings: Settings, *, as_json: bool) -> None:
    """Look once and print it."""
    console = status_console()
    print_status(console, settings, look(settings, open_storage(settings)), as_json=as_json)


def watch_status(settings: Settings, *, as_json: bool) -> None:
    """Look every two seconds until a signal ends it: in place on a terminal, elsewhere one look after the other."""
    storage, console = open_storage(settings), status_console()
    with stop_on_signals() as stop:
        if as_json or not console.is_terminal:
            while True:
                print_status(console, settings, look(settings, storage), as_json=as_json)
                if stop.wait(LOOK_SECONDS):
                    return
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while not stop.is_set():
                live.update(report(settings, look(settings, storage)), refresh=True)
                stop.wait(LOOK_SECONDS)


def look(settings: Settings, storage: Storage) -> Status:
    """The status of this moment; takes well below a second where the broker answers."""
    return read_status(storage, read_kafka_side(settings))


def print_status(console: Console, settings: Settings, status: Status, *, as_json: bool) -> None:
    """Print the report, or one JSON object on a line."""
    if as_json:
        console.print(json.dumps(status_json(status, datetime.now(UTC))), soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(report(settings, status), highlight=False)


def report(settings: Settings, status: Status) -> Group:
    """The report, and where to look if it is a running demo that somebody wonders about."""
    demo = running_demo(settings)
    return status_report(
        status,
        datetime.now(UTC),
        None if demo is None else f"A demo runs on data of its own: `TICKHOUSE_DATA_DIR={demo} tickhouse status` tells of that.",
    )


def status_console() -> Console:
    """Standard output; wide enough for a line a partition where no terminal says how wide it is."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPED_WIDTH)
