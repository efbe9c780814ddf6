"""The group of settings about Dagster: how it runs, when, and what it keeps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from tickhouse.settings.groups import Cron, Month, Port, Text, WebSettings
from tickhouse.settings.telling import refuse_our_prefix


class DagsterSettings(WebSettings):
    host: Text = Field("127.0.0.1", description="Address the Dagster UI listens on.")
    port: Port = Field(3000, description="Port of the Dagster UI.")
    url: Text | None = Field(None, description="Where people reach the UI from elsewhere, for links; unset: at host and port.")
    code_server_port: Port = Field(4266, description="Port of Dagster's code server, which workspace.yaml names.")
    launcher: Literal["warm", "stock"] = Field(
        "warm", description="How runs begin: forked from a process that has imported everything, or as Dagster does by itself."
    )
    look_seconds: PositiveFloat = Field(
        0.05, description="How often the sensor looks for new slots. Each look asks the storage a few times: 1 suits a bucket."
    )
    build_every_seconds: float = Field(
        0.0, ge=0, description="Builds begin no more often than this. 0: whenever something is new."
    )
    first_month: Month = Field("1900-01", description="The first event month that assets have a partition for.")
    compact_cron: Cron = Field("15 2 * * *", description="When Dagster compacts landed slots, as cron has it, in UTC.")
    retention_cron: Cron = Field("45 * * * *", description="When Dagster removes expired snapshots, as cron has it, in UTC.")
    freshness_cron: Cron = Field("*/5 * * * *", description="When Dagster looks for stale series, as cron has it, in UTC.")
    gaps_cron: Cron = Field("30 3 * * *", description="When it looks for trading days without a bar, as cron has it, in UTC.")
    test_cron: Cron = Field("0 4 * * *", description="When Dagster runs every test of the models over whole tables, in UTC.")
    docs_cron: Cron = Field(
        "30 3 * * *", description="When Dagster writes the models' documentation anew, as cron has it, in UTC."
    )
    observe_seconds: PositiveInt = Field(30, description="How often Dagster looks at the topic and at the landing.")
    run_retention_cron: Cron = Field("*/10 * * * *", description="When Dagster removes old run records, as cron has it, in UTC.")
    run_retention_hours: PositiveFloat = Field(72.0, description="Records of runs that ended are kept this long,")
    run_retention_runs: PositiveInt = Field(1000, description="and so many at most; the newest of each job stays in any case.")
    postgres_url_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$"), AfterValidator(refuse_our_prefix)] | None = Field(
        None,
        description="The variable of the environment that holds the address of a Postgres database for Dagster's records; unset: "
        "SQLite below `data_dir`.",
    )
    read_only: bool = Field(False, description="Dagster's UI shows everything and changes nothing: no run can be started there.")
