"""How far the models have come, noted for those who may not open the warehouse."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tickhouse.settings import Settings


class ModelProgress(BaseModel):
    """What the last finished build had taken in: its number, and the landed rows of every slot it registered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    build_seq: int
    landed_rows: int


def note_progress(settings: Settings, progress: ModelProgress) -> None:
    """Replace the note; a reader sees the old one or the new one, never a part."""
    path = _path(settings)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(progress.model_dump_json())
    os.replace(temporary, path)


def read_progress(settings: Settings) -> ModelProgress | None:
    """The note of the last finished build; None before the first."""
    try:
        return ModelProgress.model_validate_json(_path(settings).read_text())
    except FileNotFoundError:
        return None


def _path(settings: Settings) -> Path:
    return settings.data_dir / "modelled.json"
