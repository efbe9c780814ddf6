"""What the warehouse holds of one bar and of its series, taken in one look: the rest needs no warehouse open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from tickhouse.bar import INTERVALS
from tickhouse.settings import Settings
from transform.indicators.rows import NUMBERS
from transform.warehouse import open_warehouse

_NEWEST_QUARANTINES = 1000
_IDENTITY = "symbol = $symbol and interval = $interval and ts = $ts"
_LAST_FINISHED = "select coalesce(max(build_seq), 0) as build_seq from control.build where finished_at is not null"

_OF_THE_BUCKET = """
left join instrument using (symbol)
where
    bar.symbol = $symbol and bar.interval = $finer
    and bar.ts >= $ts - to_days($spare_days) and bar.ts < $ts + to_seconds($seconds) + to_days($spare_days)
    and case $interval when '1d' then trading_date when '1w' then date_trunc('week', trading_date)::date end
        is not distinct from case when $spare_days > 0 then $ts::date end
"""

_TRADING_DATE = """
case
    when bar.interval in ('1d', '1w') or time_zone is null then bar.ts::date
    else timezone(time_zone, bar.ts)::date
end
"""

_RULES = """
select *
from dim_alert_rule as rule
where
    is_enabled and symbol in ($symbol, '*') and intervals in ($interval, 'all')
    and not exists (
        select 1 from dim_alert_rule as own
        where rule.symbol = '*' and own.symbol = $symbol and own.rule = rule.rule and own.severity = rule.severity
    )
order by rule, severity_rank desc
"""

Row = dict[str, Any]


class WarehouseMissingError(RuntimeError):
    """There is no warehouse, or it was never built."""


@dataclass(frozen=True)
class Identity:
    """A bar's identity."""

    symbol: str
    interval: str
    ts: datetime

    def bound(self) -> dict[str, Any]:
        return {"symbol": self.symbol, "interval": self.interval, "ts": self.ts}


@dataclass(frozen=True)
class Quarantines:
    """The newest quarantine files of the chains that bars of the symbol landed in; `files` is how many there are in all."""

    keys: tuple[str, ...] = ()
    files: int = 0


@dataclass(frozen=True)
class Held:
    """Rows of the warehouse as they are.

    `bar` and `indicator` are the bar's rows of `int_bar` and `int_indicator`, None where it has none. `landed` are the rows of
    `int_landed_bar` that it is or is made of, in the order of time, each with its `slot_seq`. `staged` are all rows of
    `stg_bar` of its identity, `events` those of `fct_quality_event`. `series` has ts and the kernel's columns of every bar of
    its series up to it.
    """

    bar: Row | None
    indicator: Row | None
    landed: list[Row]
    staged: list[Row]
    series: pa.Table
    slots: dict[int, Row]
    builds: dict[int, Row]
    last_finished: int
    rules: list[Row]
    events: list[Row]
    quarantines: Quarantines = field(default_factory=Quarantines)


def look_up(settings: Settings, identity: Identity, published_by: int) -> Held:
    """Read it from the warehouse; hold `build_lock`. `published_by` is the build whose snapshot is explained.

    Reads what is of the symbol, whatever the size of the lake. Raises WarehouseMissingError.
    """
    with _warehouse(settings) as warehouse:
        bar = _first(_ask(warehouse, f"select * from int_bar where {_IDENTITY}", **identity.bound()))
        indicator = _first(_ask(warehouse, f"select * from int_indicator where {_IDENTITY}", **identity.bound()))
        landed = _landed(warehouse, identity, None if bar is None else bar["derived_from"])
        staged = _ask(warehouse, f"select * from stg_bar where {_IDENTITY}", **identity.bound())
        slots = _slots(warehouse, (row["slot_seq"] for row in [*landed, *staged]))
        numbers = {row["change_seq"] for row in (bar, indicator) if row is not None} | {published_by}
        return Held(
            bar=bar,
            indicator=indicator,
            landed=landed,
            staged=staged,
            series=_series(warehouse, identity),
            slots=slots,
            builds=_builds(warehouse, numbers | {slot["build_seq"] for slot in slots.values()}),
            last_finished=_ask(warehouse, _LAST_FINISHED)[0]["build_seq"],
            rules=_ask(warehouse, _RULES, symbol=identity.symbol, interval=identity.interval),
            events=_ask(warehouse, f"select * from fct_quality_event where {_IDENTITY}", **identity.bound()),
            quarantines=_quarantines(warehouse, identity.symbol),
        )


def quarantines_of(settings: Settings, symbol: str) -> Quarantines:
    """Where rows of the symbol may be quarantined; hold `build_lock`. Raises WarehouseMissingError."""
    with _warehouse(settings) as warehouse:
        return _quarantines(warehouse, symbol)


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, opened. Raises WarehouseMissingError when there is none, or when it lacks a table that builds make."""
    remedy = "`tickhouse build` makes the warehouse from the lake, `tickhouse rebuild` makes it anew"
    missing = f"{settings.warehouse_path} holds no finished build: {remedy}"
    if not settings.warehouse_path.is_file():
        raise WarehouseMissingError(missing)
    with open_warehouse(settings) as connection:
        try:
            yield connection
        except duckdb.CatalogException as error:
            raise WarehouseMissingError(missing) from error


def _landed(warehouse: duckdb.DuckDBPyConnection, identity: Identity, finer: str | None) -> list[Row]:
    """Its row of `int_landed_bar`, or those of the finer bars it is derived of, each with the slot it was read from."""
    bound = identity.bound()
    if finer is None:
        chosen = f"select * from int_landed_bar where {_IDENTITY}"
    else:
        by_date = identity.interval in ("1d", "1w")
        bound |= {"finer": finer, "spare_days": int(by_date), "seconds": INTERVALS[identity.interval]}
        chosen = f"select bar.*, {_TRADING_DATE} as trading_date from int_landed_bar as bar {_OF_THE_BUCKET}"
    return _ask(
        warehouse,
        f"""
        select bar.*, staged.slot_seq
        from ({chosen}) as bar
        left join (select * from stg_bar where symbol = $symbol) as staged
            on bar.topic_id = staged.topic_id and bar.partition = staged.partition and bar.offset = staged.offset
        order by bar.ts
        """,
        **bound,
    )


def _series(warehouse: duckdb.DuckDBPyConnection, identity: Identity) -> pa.Table:
    columns = ", ".join(NUMBERS)
    return warehouse.sql(
        f"select ts, {columns} from int_bar where symbol = $symbol and interval = $interval and ts <= $ts order by ts",
        params=identity.bound(),
    ).to_arrow_table()


def _slots(warehouse: duckdb.DuckDBPyConnection, numbers: Iterable[int | None]) -> dict[int, Row]:
    wanted = sorted({number for number in numbers if number is not None})
    found = _ask(warehouse, "select * from landing.slot where slot_seq in (select unnest($wanted::bigint[]))", wanted=wanted)
    return {slot["slot_seq"]: slot for slot in found}


def _builds(warehouse: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> dict[int, Row]:
    wanted = sorted(set(numbers))
    found = _ask(warehouse, "select * from control.build where build_seq in (select unnest($wanted::bigint[]))", wanted=wanted)
    return {build["build_seq"]: build for build in found}


def _quarantines(warehouse: duckdb.DuckDBPyConnection, symbol: str) -> Quarantines:
    """Those of the chains that its staged bars came by: a symbol keeps to its partition."""
    found = _ask(
        warehouse,
        """
        select quarantine_key
        from landing.slot
        where
            quarantine_key is not null
            and chain in (
                select distinct 'topic=' || topic || '/id=' || topic_id || '/partition=' || partition
                from stg_bar where symbol = $symbol
            )
        order by slot_seq desc
        """,
        symbol=symbol,
    )
    keys = [row["quarantine_key"] for row in found]
    return Quarantines(tuple(keys[:_NEWEST_QUARANTINES]), len(keys))


def _ask(warehouse: duckdb.DuckDBPyConnection, sql: str, **bound: Any) -> list[Row]:
    return warehouse.sql(sql, params=bound).to_arrow_table().to_pylist()


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
