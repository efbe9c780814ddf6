"""What dbt works out anew in each invocation though it comes to the same: once a process. It leans on dbt 1.11, as pinned."""

from __future__ import annotations

from functools import cache
from types import CodeType
from typing import Any


@cache
def work_out_once() -> None:
    """Let dbt keep compiled templates, the list of plug-ins and where its flags come from: a sixth of a small build's time."""
    from dbt.plugins.manager import PluginManager
    from dbt_common.behavior_flags import BehaviorFlagRendered
    from dbt_common.clients.jinja import MacroFuzzEnvironment

    PluginManager.get_prefixed_modules = cache(PluginManager.get_prefixed_modules)  # type: ignore[method-assign]
    # It looks through every frame of the stack for the name of a module, which a warning about the flag would tell.
    BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters")  # type: ignore[method-assign]
    _keep_compiled(MacroFuzzEnvironment)


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
