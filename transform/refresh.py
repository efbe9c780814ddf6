"""A build in one piece, for whoever wants to know what it changed: of what is new, or everything anew."""

from __future__ import annotations

from dataclasses import dataclass

from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.build import ValidationBlockedError, model, validate
from transform.build_lock import build_lock
from transform.changed_months import ModelRows, model_rows
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest
from transform.warehouse import warehouse_kept_open


@dataclass(frozen=True)
class Refresh:
    """What there was to publish, and the snapshot that shows it."""

    rows: ModelRows
    manifest: Manifest


def refresh(settings: Settings, storage: Storage, *, is_full: bool) -> Refresh:
    """Validate what has landed, model it, or with `is_full` every slot anew, and publish.

    Raises as `run_build` does; what was published before stands.
    """
    validation = validate(settings, storage)
    if validation.blocked is not None:
        raise ValidationBlockedError(validation.blocked)
    with build_lock(settings), warehouse_kept_open(settings):
        model(settings, storage, is_full_refresh=is_full)
        rows = model_rows(settings, storage)
        return Refresh(rows, publish_warehouse(settings, storage))
