"""A warehouse with its marts as dbt makes them, and changes to it as builds make them, but for the computing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.computing.history import CORRECTED_BARS_BACK, make_history
from benchmarks.computing.work import FULL, Work
from benchmarks.measuring.process import CaseError, run_process
from benchmarks.publishing.work import PYTHON
from tickhouse.settings import Settings, as_environment, process_environment
from tickhouse.storage import Storage, open_storage
from transform.dbt import run_dbt
from transform.marts import FCT_BATCH_QUALITY, FCT_DATA_QUALITY, MARTS
from transform.parsed_project import parsed_project
from transform.warehouse import Build, begin_build, finish_build, open_warehouse

DAYS = 2_500
_MARTS = (
    *("alert_rule", "instrument", "split_ratio", "int_chosen_indicator"),
    *("fct_indicator", "fct_alert", "fct_quality_event", "dim_alert_rule", "dim_instrument"),
)
_TABLES = ("int_bar", "int_indicator", "fct_alert")


@dataclass
class Warehouse:
    """`DAYS` daily bars of so many symbols, their indicators and alerts."""

    settings: Settings
    storage: Storage
    symbols: int
    corrections: int = 0

    def add_day(self) -> None:
        """One bar more for each symbol, its indicators and alerts: those of the day before, with another time."""
        build = self._begin()
        with open_warehouse(self.settings) as connection:
            newest = "(select max(ts) from int_indicator)"
            for table in reversed(_TABLES):
                alert_id = "md5(alert_id) as alert_id, " if table == "fct_alert" else ""
                changed = f"{alert_id}ts + interval 1 day as ts, {build.build_seq} as change_seq"
                connection.execute(f"insert into {table} select * replace ({changed}) from {table} where ts = {newest}")
        finish_build(self.settings, build)

    def correct(self) -> None:
        """A bar of one symbol, four years back, and with it all indicators since; each time of another symbol."""
        build, number = self._begin(), self.corrections * 37 % self.symbols
        self.corrections += 1
        with open_warehouse(self.settings) as connection:
            (symbol,) = connection.execute(
                "select distinct symbol from int_indicator order by symbol limit 1 offset ?", [number]
            ).fetchall()[0]
            since = f"symbol = ? and ts >= (select max(ts) - interval {CORRECTED_BARS_BACK} day from int_indicator)"
            for table, column in (("int_bar", "close"), ("int_indicator", "sma_20"), ("fct_alert", "value")):
                changed = f"{column} = {column} * 1.01, change_seq = {build.build_seq}"
                connection.execute(f"update {table} set {changed} where {since}", [symbol])
        finish_build(self.settings, build)

    def _begin(self) -> Build:
        return begin_build(self.settings, self.storage)


def make_warehouse(folder: Path, symbols: int, days: int = DAYS) -> Warehouse:
    """Bars of the synthetic feed, their indicators by our own model, views and alerts by dbt. Raises CaseError."""
    history = make_history(folder, symbols, days)
    history.write_bars(coming_days=0)
    work = Work(history.database, "int_indicator", FULL, 1)
    environment = {**process_environment(), **as_environment(history.settings)}
    run_process([PYTHON, "-m", "benchmarks.computing.ours", *work.as_arguments()], environment)
    with open_warehouse(history.settings) as connection:
        for table in ("int_landed_bar", "stg_bar"):  # what a publication counts
            connection.execute(f"create view {table} as select symbol, interval, ts, ts as produced_at from int_bar")
        for name in (FCT_DATA_QUALITY, FCT_BATCH_QUALITY):  # some rows a symbol, and a thousand in all: none are missed
            connection.from_arrow(MARTS[name].empty_table()).create(name)
    selection = ("--exclude-resource-type", "unit_test", "test", "--select", *_MARTS)
    if not run_dbt(history.settings, "--quiet", "build", *selection, project=parsed_project(history.settings)).success:
        raise CaseError(f"the marts were not made; see {history.settings.log_path}")
    storage = open_storage(history.settings)
    warehouse = Warehouse(history.settings, storage, symbols)
    warehouse.add_day()  # a build that finished
    return warehouse
