"""What assets and sensors are handed: this machine's settings, the lake, and the warehouse to write."""

from collections.abc import Callable
from contextlib import ExitStack

import dagster as dg
from pydantic import PrivateAttr

from tickhouse.settings import Settings, load_settings
from tickhouse.storage import Storage, open_storage
from transform.build_lock import build_lock
from transform.warehouse import warehouse_kept_open

WAREHOUSE = "warehouse"
"""The pool of steps that write the warehouse; it has a limit where Dagster's records are in Postgres."""


class Platform(dg.ConfigurableResource):
    """Settings and storage, read when a run or a sensor tick asks for them."""

    def settings(self) -> Settings:
        return load_settings()

    def storage(self) -> Storage:
        return open_storage(self.settings())


class Warehouse(dg.ConfigurableResource):
    """The build database, for the steps of a run that write it one after the other."""

    _held: ExitStack | None = PrivateAttr(default=None)

    def hold(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Hold `build_lock`, and the warehouse open, until the run ends: its next step finds both as this one leaves them.

        `say` is told when that has to be waited for.
        """
        if self._held is None:
            self._held = ExitStack()
            self._held.enter_context(build_lock(settings, say))
            self._held.enter_context(warehouse_kept_open(settings))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._held is not None:
            self._held.close()
