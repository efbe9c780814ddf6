"""The Dagster instance: its configuration as settings have it, and its first opening."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tickhouse.settings import Settings, read_secret

if TYPE_CHECKING:
    import dagster as dg

FOLDER = Path(__file__).resolve().parent.parent / "infra" / "dagster"
POSTGRES_URL = "DAGSTER_POSTGRES_URL"
"""The variable that dagster.yaml names; what Dagster starts has the address in it."""

_BY_DAGSTERS_CLIENT = "postgresql+psycopg2://"  # SQLAlchemy would take another one, which is not installed


class AddressMissingError(ValueError):
    """The variable that is to hold Postgres' address is empty."""


def instance_yaml(settings: Settings) -> str:
    """dagster.yaml of these settings: the common part, and that of SQLite or of Postgres. It holds no secret."""
    kind = "sqlite" if settings.dagster.postgres_url_variable is None else "postgres"
    parts = [(FOLDER / name).read_text(encoding="utf-8") for name in ("dagster.yaml", f"{kind}.yaml")]
    return "\n".join(parts).replace("{env: DAGSTER_HOME}", json.dumps(str(settings.dagster_home)))


def secret_environment(settings: Settings) -> dict[str, str]:
    """What Dagster's processes need besides settings. Raises AddressMissingError."""
    variable = settings.dagster.postgres_url_variable
    if variable is None:
        return {}
    if not (address := read_secret(variable)):
        raise AddressMissingError(
            f"dagster.postgres_url_variable names {variable}, which is not set: export {variable}='postgresql://user:password@host/database'"
        )
    return {POSTGRES_URL: re.sub(r"^postgres(ql)?://", _BY_DAGSTERS_CLIENT, address)}


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance in `settings.dagster_home`, whose dagster.yaml must be there. Raises AddressMissingError."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    secrets = secret_environment(settings)
    storage = {"storage": {"postgres": {"postgres_url": secrets[POSTGRES_URL]}}} if secrets else {}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(settings.dagster_home), overrides=storage))
