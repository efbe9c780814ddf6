"""Forked processes: one that executes a run as Dagster's own command does, and ones for work whose traces must not stay."""

import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from orchestration.launcher.worker import TAG, Worker


def run_aside(work: Callable[[], object]) -> None:
    """Do it in a process that ends with it. Raises RuntimeError when it failed; the log has why."""
    pid = os.fork()
    if pid == 0:
        _leave_with(work)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("what was done in a process of its own failed; its error is above")


def fork_run(arguments: str, inherited: Callable[[], None]) -> int:
    """A process that executes the run that `arguments` (ExecuteRunArgs, serialised) name; its number.

    `inherited` closes there what is the parent's alone.
    """
    pid = os.fork()
    if pid == 0:
        _leave_with(lambda: _execute(arguments, inherited))
    return pid


def fork_report(arguments: str, pid: int, exit_code: int) -> None:
    """Tell Dagster, from a process of its own, how the run's process ended, unless the run says itself how it did."""
    if os.fork() == 0:
        _leave_with(lambda: _report(arguments, pid, exit_code))


def keep_connections(instance: Any) -> None:
    """Let this run keep its connection to Postgres: Dagster's storage connects anew for each event, of which a build has 75."""
    instance.optimize_for_webserver(statement_timeout=0, pool_recycle=-1, max_overflow=5)


def _leave_with(work: Callable[[], object]) -> NoReturn:
    """Work, and leave without the parent's exit handlers."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _execute(arguments: str, inherited: Callable[[], None]) -> None:
    inherited()
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    random.seed()
    np.random.seed()
    from dagster._cli import api

    stock = api._execute_run_command_body

    def body(run_id: str, instance: Any, *rest: Any, **options: Any) -> int:
        keep_connections(instance)
        instance.add_run_tags(run_id, {TAG: Worker.present().tag()})
        return stock(run_id, instance, *rest, **options)

    api._execute_run_command_body = body
    api.api_cli.main(["execute_run", arguments], standalone_mode=False)


def _report(arguments: str, pid: int, exit_code: int) -> None:
    """As the code server does of the processes that it starts (dagster/_grpc/server.py, _check_for_orphaned_runs)."""
    from dagster import DagsterInstance
    from dagster._grpc.types import ExecuteRunArgs
    from dagster._serdes import deserialize_value
    from dagster._utils import get_run_crash_explanation

    asked = deserialize_value(arguments, ExecuteRunArgs)
    assert asked.instance_ref is not None
    with DagsterInstance.from_ref(asked.instance_ref) as instance:
        run = instance.get_run_by_id(asked.run_id)
        if run is not None and not run.is_finished:
            instance.report_engine_event(get_run_crash_explanation(f"Run process {pid} for {run.run_id}", exit_code), run)
            instance.report_run_failed(run)
            events = instance.event_log_storage
            if events.supports_global_concurrency_limits:  # run monitoring frees them too, but only when it next looks
                events.free_concurrency_slots_for_run(run.run_id)
