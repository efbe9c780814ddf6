"""The warehouse is one run's from the first step that writes it to the run's end, and nobody's after that."""

from __future__ import annotations

import dagster as dg
import pytest

from orchestration.definitions import definitions
from orchestration.resources import WAREHOUSE, Platform, Warehouse
from tickhouse.settings import Settings
from transform.build_lock import is_build_lock_taken


@pytest.mark.parametrize("fails", [False, True])
def test_the_warehouse_is_held_from_one_step_to_the_next_and_let_go_when_the_run_ends(settings: Settings, fails: bool) -> None:
    seen = []

    @dg.op(out=dg.Out(dg.Nothing))
    def models(warehouse: Warehouse) -> None:
        warehouse.hold(settings, pytest.fail)

    @dg.op(ins={"built": dg.In(dg.Nothing)})
    def publish(warehouse: Warehouse) -> None:
        seen.append(is_build_lock_taken(settings))
        warehouse.hold(settings, pytest.fail)
        if fails:
            raise RuntimeError("the disk is full")

    @dg.job(resource_defs={"platform": Platform(), "warehouse": Warehouse()}, executor_def=dg.in_process_executor)
    def build() -> None:
        publish(models())

    assert build.execute_in_process(raise_on_error=False).success is not fails
    assert seen == [True]
    assert not is_build_lock_taken(settings)


def test_whoever_has_the_warehouse_waits_for_no_place_in_its_pool() -> None:
    """Two that have one each and wait for the other would wait for ever: the pool comes first, and once a run."""
    jobs = definitions().get_repository_def().get_all_jobs()
    in_pool = {job.name: [node.name for node in job.nodes if WAREHOUSE in node.definition.pools] for job in jobs}
    assert in_pool["build"] == ["dbt_models"]
    assert {job: steps for job, steps in in_pool.items() if len(steps) > 1} == {}
