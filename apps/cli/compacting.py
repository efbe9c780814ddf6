"""`tickhouse compact`: how far it is, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from apps.cli.ending import interrupt_on_signals
from apps.cli.progress import showing_progress
from ingestion.chain.compaction import Archived, ArchiveSize, compact
from tickhouse.settings import Settings
from tickhouse.storage import open_storage


def compact_with_progress(settings: Settings, size: ArchiveSize) -> None:
    """Compact every chain of the lake, or as much as is done when told to end: what is archived stays so.

    Raises as `ingestion.chain.compaction.compact` does.
    """
    made: list[Archived] = []
    with interrupt_on_signals(), showing_progress(Console(stderr=True), "bars archived") as show:

        def tell(archived: Archived) -> None:
            made.append(archived)
            show(sum(each.record.rows for each in made), None)

        show(0, None)
        compact(open_storage(settings), size, tell)
    Console().print(compaction_text(made, size), highlight=False, soft_wrap=True)


def compaction_text(made: Sequence[Archived], size: ArchiveSize) -> str:
    """What was archived, in a sentence."""
    if not made:
        needed = f" An archive is made of {size.rows:,} bars or {size.slots:,} slots; --all takes fewer."
        return f"Nothing to archive.{'' if size.is_partial else needed}"
    slots, bars = sum(each.record.slots for each in made), sum(each.record.rows for each in made)
    written = sum(each.bytes for each in made)
    a_bar = f", {written / bars:.1f} bytes a bar" if bars else ""
    return f"Archived {slots:,} slots with {bars:,} bars: {written / 1e6:,.1f} MB{a_bar}. Archives made: {len(made):,}."
