"""A folder of the benchmark's own, on the disk that the project lies on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring.process import ROOT

FOLDER = ROOT / ".tickhouse" / "bench"


@contextmanager
def open_folder() -> Iterator[Path]:
    """An empty folder, gone afterwards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        yield Path(folder)
