"""What dbt works out anew in each invocation though it comes to the same: once a process. It leans on dbt 1.11, as pinned."""

from __future__ import annotations

from functools import cache
from types import CodeType
from typing import Any


@cache
def work_out_once() -> None:
    """Let dbt keep compiled templates and what else it finds out, and leave out what nobody reads: a fifth of a small build."""
    from dbt.compilation import Linker
    from dbt.plugins.manager import PluginManager
    from dbt_common.behavior_flags import BehaviorFlagRendered
    from dbt_common.clients import agate_helper
    from dbt_common.clients.jinja import MacroFuzzEnvironment
    from dbt_common.events.event_manager import EventManager

    PluginManager.get_prefixed_modules = cache(PluginManager.get_prefixed_modules)  # type: ignore[method-assign]
    # It looks through every frame of the stack for the name of a module, which a warning about the flag would tell.
    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters")  # type: ignore[method-assign]
    Linker.get_graph_summary = lambda *_: {}  # type: ignore[assignment, method-assign]  # a file for who tunes dbt itself
    _keep_compiled(MacroFuzzEnvironment)
    _keep_type_testers(agate_helper)
    _pass_over_unheard(EventManager)


def _keep_compiled(environments: Any) -> None:
    compile_anew = environments.compile
    compiled: dict[tuple[type, str], CodeType] = {}

    def compile_once(environment: Any, source: Any, *rest: Any, **options: Any) -> Any:
        if rest or options or not isinstance(source, str):
            return compile_anew(environment, source, *rest, **options)
        key = type(environment), source  # a subclass makes other code of the same text
        if key not in compiled:
            compiled[key] = compile_anew(environment, source)
        return compiled[key]

    environments.compile = compile_once


def _keep_type_testers(helper: Any) -> None:
    make_anew = helper.build_type_tester
    kept = cache(make_anew)

    def make_once(text_columns: Any, string_null_values: Any = ("null", "")) -> Any:
        return kept(tuple(text_columns), tuple(string_null_values))

    helper.build_type_tester = make_once


def _pass_over_unheard(managers: Any) -> None:
    """An event that no log takes, that nobody was to be called for, and that is no warning, is not made into a message."""
    fire = managers.fire_event
    unheard = ("debug", "info")

    def fire_heard(manager: Any, event: Any, *rest: Any, **options: Any) -> None:
        is_heard = manager.loggers or len(manager.callbacks) > 1  # one is dbt's own, for warnings
        if is_heard or str(event.level_tag().value) not in unheard:
            fire(manager, event, *rest, **options)

    managers.fire_event = fire_heard
