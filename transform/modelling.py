"""Building and testing the models with dbt: everything, or what a build of new bars needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tickhouse.settings import Settings
from transform.dbt import OnNode, run_dbt
from transform.parsed_project import parsed_project

_NOT_BUILT = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure")

_WHAT_NEW_BARS_CHANGE = (
    "--select",
    "config.materialized:incremental",
    "tag:every_build",
    "--indirect-selection",
    "empty",
    "--vars",
    json.dumps({"only_touched": True}),
    "--threads",
    "2",
)
"""Views show what is there and seeds stay what they are; of tests those that bars could fail, over the rows that were touched.
Of two models at a time one waits for the database while dbt thinks about the other; a big build has no memory for that."""

_UNWRITTEN = ("--no-write-json", "--log-level", "none", "--log-level-file", "none")
"""Nobody reads what dbt writes of a build, and that takes a fifth of its time; what failed, and why, is in the results."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, seed, snapshot or test."""

    unique_id: str
    status: str
    seconds: float
    failures: int | None
    message: str | None

    @property
    def is_success(self) -> bool:
        return self.status in ("success", "pass", "warn", "no-op")


def build_models(
    settings: Settings,
    *,
    full_refresh_from: str | None = None,
    is_quick: bool = False,
    on_node: OnNode | None = None,
) -> list[NodeResult]:
    """Build every seed and model and run every data test, in order. Look at each result's `is_success`.

    `full_refresh_from` names a model that starts anew, together with all that follow from it. `is_quick` leaves out what new bars
    cannot change; the warehouse must have been built by this same project.
    """
    if full_refresh_from is None:
        return _run(settings, "build", *_NOT_BUILT, *(_WHAT_NEW_BARS_CHANGE if is_quick else ()), on_node=on_node)
    anew = f"{full_refresh_from}+"
    # What it starts from must be there: an older version may not have had it.
    results = _run(settings, "build", *_NOT_BUILT, "--exclude", anew, on_node=on_node)
    if all(result.is_success for result in results):
        results += _run(settings, "build", *_NOT_BUILT, "--full-refresh", "--select", anew, on_node=on_node)
    return results


def check_models(settings: Settings, *, on_node: OnNode | None = None) -> list[NodeResult]:
    """Run every data test over whole tables; hold `build_lock`. Look at each result's `is_success`."""
    return _run(settings, "test", "--exclude-resource-type", "unit_test", on_node=on_node)


def failure_text(results: Sequence[NodeResult]) -> str | None:
    """One line a failure; None when all is well."""
    failed = [result for result in results if not result.is_success]
    return "\n".join(f"{result.unique_id}: {result.status}: {result.message}" for result in failed) or None


def _run(settings: Settings, *arguments: str, on_node: OnNode | None) -> list[NodeResult]:
    ran: Any = run_dbt(settings, *_UNWRITTEN, *arguments, on_node=on_node, project=parsed_project(settings)).result
    return [
        NodeResult(item.node.unique_id, str(item.status), item.execution_time, item.failures, item.message)
        for item in ran.results
    ]
