"""Everything anew from every validated slot: each model, and a snapshot of it."""

from __future__ import annotations

from dataclasses import dataclass

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.build import ValidationBlockedError, model, validate
from transform.changed_months import ModelRows, model_rows
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest
from transform.warehouse import build_lock


@dataclass(frozen=True)
class Refresh:
    """What there was to publish, and the snapshot that shows it."""

    rows: ModelRows
    manifest: Manifest


def refresh(settings: Settings, storage: Storage) -> Refresh:
    """Validate what has landed, compute every model anew, publish. Raises as `run_build` does; what was published stands."""
    validation = validate(settings, storage)
    if validation.blocked is not None:
        raise ValidationBlockedError(validation.blocked)
    with build_lock(settings):
        model(settings, storage, is_full_refresh=True)
        rows = model_rows(settings, storage)
        return Refresh(rows, publish_warehouse(settings, storage))
