"""What a demo runs on: settings of its own, ports that are free, a folder that it may empty."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apps.cli.ports import Address, address, dagster_addresses
from apps.cli.start import with_changes
from tickhouse.settings import LoggingSettings, ProducerSettings, Settings, StorageSettings

FOLDER = "demo"
FIRST_MONTH = "2000-01"
"""Of the sample: Dagster lists no months before it."""
METRICS_PORT = 9464
"""Of a demo's ingestor where `metrics.port` is unset: the one Prometheus exporters of OpenTelemetry have."""
LOOPBACK = "127.0.0.1"
_MARK = ".tickhouse-demo"
_KEPT = (_MARK, "dbt")
"""The parsed dbt project is no data: set-up made it, and a demo starts sooner with it."""


class FolderRefusedError(RuntimeError):
    """The demo's folder holds something that no demo put there, or another demo runs on it."""


@dataclass(frozen=True)
class DemoOptions:
    """How a demo goes: it stays until Ctrl-C or, with `is_exiting`, replays everything at full speed, checks and ends.

    With `kills` it is for exiting too, and the ingestor, the broker and builds are killed so often each meanwhile.
    """

    is_exiting: bool = False
    live_dates: int = 252
    live_bars_per_second: float = 20.0
    deadline_seconds: float = 600.0
    kills: int = 0


def demo_settings(settings: Settings) -> Settings:
    """The user's settings, but with a data folder, a lake and a broker that are the demo's own."""
    port = settings.kafka.bootstrap_servers.split(",")[0].rpartition(":")[2]
    own = settings.model_copy(
        update={
            "data_dir": settings.data_dir / FOLDER,
            "storage": StorageSettings(),
            "producer": ProducerSettings(acks=settings.producer.acks),
            "logging": LoggingSettings(level=settings.logging.level, format=settings.logging.format),
        }
    )
    own = with_changes(own, "dagster", first_month=FIRST_MONTH)
    own = with_changes(own, "metrics", port=settings.metrics.port or METRICS_PORT)
    return with_changes(own, "kafka", bootstrap_servers=f"{LOOPBACK}:{port}", offset_reset="earliest")


def claim_folder(settings: Settings) -> Path:
    """Make the demo's data folder, or what of it is missing, and mark it as the demo's.

    Raises FolderRefusedError when it holds something and no mark.
    """
    folder = settings.data_dir
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise FolderRefusedError(f"{folder} holds files that no demo made: move them, or set data_dir to another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
    return folder


@contextmanager
def held_folder(settings: Settings) -> Iterator[Path]:
    """The demo's folder, without what an earlier demo left in it, and no other demo's until the block ends.

    Raises FolderRefusedError as `claim_folder` does, or when another demo holds it.
    """
    folder = claim_folder(settings)
    with (folder / _MARK).open("r+") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderRefusedError(
                f"a demo runs on {folder} (process {mark.read()}): end it first, "
                "or set data_dir (TICKHOUSE_DATA_DIR) to another folder"
            ) from None
        mark.truncate()
        mark.write(str(os.getpid()))
        mark.flush()
        _empty(folder)
        yield folder


def running_demo(settings: Settings) -> Path | None:
    """The folder of the demo that runs beside these settings' own data; None when none does."""
    folder = demo_settings(settings).data_dir
    try:
        with (folder / _MARK).open() as mark:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return folder
    return None


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name in _KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def demo_addresses(settings: Settings) -> list[Address]:
    """Where the demo's parts listen."""
    host, _, port = settings.kafka.bootstrap_servers.rpartition(":")
    return [
        ("kafka.bootstrap_servers", host, int(port)),
        ("metrics.port", settings.metrics.host, settings.metrics.port or METRICS_PORT),
        address(settings, "api"),
        address(settings, "pages"),
        *dagster_addresses(settings),
        address(settings, "docs"),
    ]
