"""What assets and sensors are handed: this machine's settings, and the lake."""

import dagster as dg

from tickhouse.settings import Settings, load_settings
from tickhouse.storage import Storage, open_storage

WAREHOUSE = "warehouse"
"""The pool of steps that write the warehouse; it has a limit where Dagster's records are in Postgres."""


class Platform(dg.ConfigurableResource):
    """Settings and storage, read when a run or a sensor tick asks for them."""

    def settings(self) -> Settings:
        return load_settings()

    def storage(self) -> Storage:
        return open_storage(self.settings())
