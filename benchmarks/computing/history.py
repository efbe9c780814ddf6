"""A warehouse with stored bars and their indicators, to which new days and corrections come."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.computing.work import CORRECTED, FULL, NEWEST
from ingestion.sources import SyntheticFeed
from tickhouse.settings import (
    AnalyticsSettings,
    IngestorSettings,
    KafkaSettings,
    LoggingSettings,
    MetricsSettings,
    ProducerSettings,
    Settings,
    StorageSettings,
)
from tickhouse.storage import open_storage
from transform.indicators.kernel import CARRIED
from transform.indicators.signals import SIGNALS
from transform.warehouse import begin_build, open_warehouse

CORRECTED_SYMBOLS = 3
CORRECTED_BARS_BACK = 1_000
"""Four years of trading days."""

SCRATCH, PEERS = "computed_indicator", "peer_indicator"
"""What a full refresh makes, until `forget_computed`; and the stored indicators that the other ways carry on."""

_OURS_ALONE = ", ".join((*SIGNALS, *CARRIED, "change_seq"))
_BAR = """
    symbol, interval, ts, open, high, low, close, adj_close, volume, 'raw' as price_basis, open as basis_open, high as basis_high,
    low as basis_low, close as basis_close, source, null::varchar as derived_from, true as is_closed, 1::bigint as change_seq
"""
_CHANGES = {
    NEWEST: "from coming_bar where ts = (select max(ts) + interval '1 day' from int_bar)",
    CORRECTED: f"""
        select * replace (close * 1.01 as close, basis_close * 1.01 as basis_close) from int_bar
        where ts = (select max(ts) - interval '{CORRECTED_BARS_BACK} days' from int_bar)
        order by change_seq, hash(symbol) limit {CORRECTED_SYMBOLS}
    """,
}
"""One bar more for each symbol; bars of long ago of three symbols, each time of others."""


@dataclass(frozen=True)
class History:
    """`days` daily bars of each of so many symbols as `int_bar`, physically in the order of ts, in a folder of its own.

    `builds` are the builds that the last changes came with, by step.
    """

    settings: Settings
    symbols: int
    days: int
    builds: dict[str, int] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.settings.warehouse_path

    def write_bars(self, coming_days: int) -> None:
        """Make the file with its bars, the same every time, and days still to come beside them."""
        begin_build(self.settings, open_storage(self.settings))
        feed = SyntheticFeed(self.symbols, interval="1d", bars=self.days + coming_days)
        until = feed.start.timestamp() + self.days * 86_400
        with open_warehouse(self.settings) as connection:
            for number, piece in enumerate(feed.pieces()):
                connection.register("piece", piece)
                for table, condition in (("int_bar", "<"), ("coming_bar", ">=")):
                    rows = f"select {_BAR} from piece where epoch(ts) {condition} {until}"
                    connection.execute(f"insert into {table} {rows}" if number else f"create table {table} as {rows}")

    def write_peers(self) -> None:
        """Store for the other ways what they need of `int_indicator`: keys and indicators, without our state."""
        with open_warehouse(self.settings) as connection:
            connection.execute(f"create table {PEERS} as select * exclude ({_OURS_ALONE}) from int_indicator")

    def change(self, step: str) -> int:
        """Bring what a step is about, in a build of its own, which is returned."""
        self.builds[step] = self._land(_CHANGES[step])
        return self.builds[step]

    def count_changed(self, step: str) -> int:
        """How many rows of indicators the step has to give."""
        if step == FULL:
            with open_warehouse(self.settings) as connection:
                return connection.table("int_bar").shape[0]
        return self.symbols if step == NEWEST else CORRECTED_SYMBOLS * (CORRECTED_BARS_BACK + 1)

    def newest_build(self) -> int:
        return max(1, *self.builds.values()) if self.builds else 1

    def forget_computed(self) -> None:
        """Drop what a full refresh made, so that the next one finds the same file."""
        with open_warehouse(self.settings) as connection:
            connection.execute(f"drop table if exists {SCRATCH}")

    def _land(self, bars: str) -> int:
        """Put the bars into `int_bar` as dbt does it: those that are there go, the new ones come at its end."""
        build_seq = begin_build(self.settings, open_storage(self.settings)).build_seq
        with open_warehouse(self.settings) as connection:
            connection.execute("begin")
            connection.execute(f"create temp table landed as select * replace ({build_seq} as change_seq) from ({bars})")
            connection.execute(
                """
                delete from int_bar using landed
                where int_bar.symbol = landed.symbol and int_bar.interval = landed.interval and int_bar.ts = landed.ts
                """
            )
            connection.execute("insert into int_bar from landed")
            connection.execute("commit")
        return build_seq


def make_history(folder: Path, symbols: int, days: int) -> History:
    """An empty history whose settings are the defaults, whatever tickhouse.yaml and the environment say."""
    settings = Settings(
        data_dir=folder,
        kafka=KafkaSettings(),
        producer=ProducerSettings(),
        ingestor=IngestorSettings(),
        storage=StorageSettings(),
        metrics=MetricsSettings(),
        analytics=AnalyticsSettings(),
        logging=LoggingSettings(format="json"),
    )
    return History(settings, symbols, days)
