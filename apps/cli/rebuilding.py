"""`tickhouse rebuild`: how far it is, then what came out, mart by mart."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict

import typer

from apps.cli.progress import Stages
from tickhouse.settings import Settings
from transform.rebuild import Rebuild, RebuiltMart, rebuild

_WHY = (
    "Other indicators, thresholds or derived intervals in the settings, or another version of tickhouse, make other contents: "
    "then this is as it should be. Else what was published was not what the lake holds."
)


def show_rebuild(settings: Settings, *, as_json: bool) -> bool:
    """Rebuild, and print what it came to; say whether it is what was published. Raises as `transform.rebuild.rebuild` does."""
    with ExitStack() as opened:
        came_to = rebuild(settings, Stages(opened).tell)
    typer.echo(json.dumps(rebuild_json(came_to)) if as_json else rebuild_report(came_to))
    return came_to.is_same


def rebuild_json(came_to: Rebuild) -> dict[str, object]:
    """The same as plain values; what there was not is null."""
    return {
        "same": came_to.is_same,
        "slots": came_to.slots,
        "landed_rows": came_to.landed_rows,
        "before": None if came_to.before is None else came_to.before.number,
        "snapshot": came_to.published.number,
        "marts": [{**asdict(mart), "same": mart.is_same} for mart in came_to.marts],
    }


def rebuild_report(came_to: Rebuild) -> str:
    """A line a mart, and what it means."""
    before, number = came_to.before, came_to.published.number
    lines = [f"read {came_to.landed_rows:,} landed bars of {came_to.slots:,} slots, published as snapshot {number}"]
    lines += [_mart_text(mart, None if before is None else before.number) for mart in came_to.marts]
    if before is None:
        lines.append("There was no snapshot to compare with.")
    elif came_to.is_same:
        lines.append(f"All contents are those of snapshot {before.number}.")
    else:
        lines.append(f"Contents differ from those of snapshot {before.number}. {_WHY}")
    return "\n".join(lines)


def _mart_text(mart: RebuiltMart, before: int | None) -> str:
    text = f"  {mart.name:<17} {mart.rows:>12,} rows, contents {mart.content}"
    if before is None:
        return text
    if mart.is_same:
        return f"{text}: same"
    if mart.was_rows is None:
        return f"{text}: not in snapshot {before}"
    return f"{text}: in snapshot {before} {mart.was_rows:,} rows, contents {mart.was_content or 'that cannot be read'}"
