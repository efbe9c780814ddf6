"""Rebuilding event months: their slots are judged and read again, and what depends on them is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingestion.chain.slot import SlotFooter
from ingestion.chain.walk import find_chains, walk
from tickhouse.settings import Settings
from tickhouse.storage import Storage
from transform.build import ValidationBlockedError, model
from transform.build_lock import build_lock
from transform.changed_months import Changed, ModelRows, model_rows
from transform.modelling import NodeResult
from transform.months import Months
from transform.publication import publish_warehouse
from transform.snapshot.manifest import Manifest
from transform.validation.revalidation import RevalidationOutcome, revalidate
from transform.warehouse import ReadAgain, warehouse_kept_open

_JUDGED = "bars that other rules judged, judged again"

Tell = Callable[[str, int, int | None], object]
"""Told the stage (`slots, read again`), how many are done, and of how many."""


@dataclass(frozen=True)
class Scope:
    """What a backfill of `months` reads again: the slots, each a chain's path and a position, and how many bars these hold.

    Slots hold bars of other months too, and are read whole.
    """

    months: Months
    slots: frozenset[tuple[str, int]]
    rows: int


@dataclass(frozen=True)
class Backfill:
    """What a backfill came to. `rows` tells of the models before it was published.

    `manifest` is the newest snapshot, which is the one before where nothing changed.
    """

    scope: Scope
    judged: RevalidationOutcome
    models: list[NodeResult]
    rows: ModelRows
    manifest: Manifest

    @property
    def changed(self) -> Changed:
        """Which months of which models changed."""
        return self.rows.changed


def scope_of(storage: Storage, months: Months) -> Scope:
    """The landed slots that hold bars of the months, as their footers say."""
    slots, rows = set(), 0
    for chain in find_chains(storage):
        for slot in walk(storage, chain):
            if _touches(slot.footer, months):
                slots.add((chain.path, slot.footer.position))
                rows += slot.footer.rows
    return Scope(months, frozenset(slots), rows)


def _touches(footer: SlotFooter, months: Months) -> bool:
    """A footer that names no month although its slot has bars may be of any."""
    return any(month in months for month in footer.event_months) or (footer.rows > 0 and not footer.event_months)


def rebuild_months(settings: Settings, storage: Storage, months: Months, tell: Tell) -> Backfill:
    """Rebuild the months under the present rules and settings, with all that depends on them, and publish.

    The tables are then what a full refresh would make of the validated slots, to the bit, and rows that come out as they were
    stay untouched. It may run beside ingestors and builds; what lands meanwhile is the next build's. Killed at any moment, the
    next build finishes what was begun, and calling it again does the rest. Raises ValidationBlockedError, DbtError and
    RevalidationConflictError; what was published before stands.
    """
    scope = scope_of(storage, months)
    judged = revalidate(settings, storage, slots=scope.slots, on_rows=lambda rows: tell(_JUDGED, rows, None))
    if judged.blocked is not None:
        raise ValidationBlockedError(judged.blocked)
    again = ReadAgain(scope.slots, scope.months, lambda done, total: tell("slots, read again", done, total))
    with build_lock(settings), warehouse_kept_open(settings):
        models = model(settings, storage, again=again, on_node=lambda done, total: tell("models and tests, built", done, total))
        rows = model_rows(settings, storage)
        manifest = publish_warehouse(settings, storage, _Rows(tell).add)
    return Backfill(scope, judged, models, rows, manifest)


class _Rows:
    """Counts rows as they are published."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._rows = tell, 0

    def add(self, rows: int) -> None:
        self._rows += rows
        self._tell("rows, published", self._rows, None)
