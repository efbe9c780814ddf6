"""What the API and the pages ask of a published snapshot: bars, indicators, alerts, and figures of the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tickhouse.bar import INTERVALS
from transform.marts import FCT_INDICATOR
from transform.snapshot.read import Series, Snapshot

_BAR = "* replace (coalesce(is_closed, true) as is_closed)"
"""What is asked of a bar. Snapshots published before bars were derived do not say that theirs are closed."""


@dataclass(frozen=True)
class Selection:
    """Which bars: of one symbol, one interval, from `start` on, before `until`; None is no bound. Times are UTC.

    `derived` keeps only the bars derived from finer ones (True), or only those that landed (False).
    """

    symbol: str | None = None
    interval: str | None = None
    start: datetime | None = None
    until: datetime | None = None
    derived: bool | None = None


@dataclass(frozen=True)
class HeldInterval:
    """An interval there are bars of, and how many of these were derived from finer ones."""

    interval: str
    bars: int
    derived_bars: int

    @property
    def is_derived(self) -> bool:
        """Whether none of its bars landed."""
        return self.derived_bars == self.bars


def bars(snapshot: Snapshot, selection: Selection, limit: int, offset: int = 0) -> pa.Table:
    """Rows of `fct_indicator` in the order of (symbol, interval, ts), which a bar's identity makes unambiguous."""
    if (series := _series(snapshot, selection)) is not None:
        return _finite(_closed(series.rows(offset, limit)))
    where, bound = _where(selection)
    return _ask(
        snapshot,
        f"select {_BAR} from fct_indicator {where} order by symbol, interval, ts limit $limit offset $offset",
        **bound,
        limit=limit,
        offset=offset,
    )


def count_bars(snapshot: Snapshot, selection: Selection) -> int:
    """How many bars there are to page through."""
    if (series := _series(snapshot, selection)) is not None:
        return len(series)
    where, bound = _where(selection)
    return int(_ask(snapshot, f"select count(*) as bars from fct_indicator {where}", **bound)["bars"][0].as_py())


def published_bars(snapshot: Snapshot) -> int:
    """How many bars the snapshot holds, derived ones too, by its manifest."""
    mart = snapshot.manifest.marts.get(FCT_INDICATOR)
    return 0 if mart is None else mart.rows


def newest_bars(snapshot: Snapshot, selection: Selection, limit: int) -> pa.Table:
    """The last `limit` of the selected bars with their indicators, oldest first."""
    if (series := _series(snapshot, selection)) is not None:
        return _finite(_closed(series.newest(limit)))
    where, bound = _where(selection)
    newest = f"select {_BAR} from fct_indicator {where} order by ts desc, symbol, interval limit $limit"
    return _ask(snapshot, f"from ({newest}) order by ts, symbol, interval", **bound, limit=limit)


def alerts(
    snapshot: Snapshot,
    selection: Selection,
    limit: int,
    *,
    severities: Sequence[str] | None = None,
    rules: Sequence[str] | None = None,
) -> pa.Table:
    """Rows of `fct_alert`, newest first; of these severities and rules only, where given."""
    where, bound = _where(selection)
    wanted = {"severity": severities, "rule": rules}
    for column, values in wanted.items():
        if values is not None:
            where += f"{' and' if where else 'where'} {column} in (select unnest(${column}))"
            bound[column] = list(values)
    order = "ts desc, symbol, interval, rule"
    return _ask(snapshot, f"select * from fct_alert {where} order by {order} limit $limit", **bound, limit=limit)


def instruments(snapshot: Snapshot) -> pa.Table:
    """One row per (symbol, interval), in that order: how many bars, from when to when, the last one, and the description.

    `close` is the last raw close, `price_change_pct` its change on the price basis in per cent. The columns of
    `dim_instrument` are null for a symbol that it does not describe.
    """
    return _ask(
        snapshot,
        """
        from (select
            symbol, interval, count(*) as bars, count(derived_from) as derived_bars, min(ts) as first_ts, max(ts) as last_ts,
            arg_max_null(close, ts) as close, arg_max_null(price_change_pct, ts) as price_change_pct,
            arg_max_null(volume, ts) as volume,
            arg_max(price_basis, ts) as price_basis, arg_max(source, ts) as source
        from fct_indicator group by symbol, interval)
        left join dim_instrument using (symbol) order by symbol, interval
        """,
    )


@dataclass(frozen=True)
class RsiLevels:
    """Above the one and below the other an RSI raises an alert; None where no such rule is in force."""

    overbought: float | None = None
    oversold: float | None = None


def rsi_levels(snapshot: Snapshot, symbol: str) -> RsiLevels:
    """The first level of each side that is in force for the symbol."""
    found = _ask(
        snapshot,
        """
        select
            min(threshold) filter (where rule = 'rsi_overbought') as overbought,
            max(threshold) filter (where rule = 'rsi_oversold') as oversold
        from dim_alert_rule as rule
        where is_enabled and (
            symbol = $symbol
            or symbol = '*' and not exists (
                select 1 from dim_alert_rule as own
                where own.symbol = $symbol and own.rule = rule.rule and own.severity = rule.severity
            )
        )
        """,
        symbol=symbol,
    ).to_pylist()[0]
    return RsiLevels(**found)


def description(snapshot: Snapshot, symbol: str) -> dict[str, Any]:
    """The symbol's row of `dim_instrument`; all null but the symbol where it has none."""
    return _ask(snapshot, "from (select $symbol as symbol) left join dim_instrument using (symbol)", symbol=symbol).to_pylist()[0]


def intervals_of(snapshot: Snapshot, symbol: str | None = None) -> list[HeldInterval]:
    """The intervals there are bars of, longest first, of one symbol or of all; none for an unknown symbol."""
    if symbol is None:
        counted = "select interval, count(*) as bars, count(derived_from) as derived_bars from fct_indicator group by interval"
        found = [HeldInterval(**row) for row in _ask(snapshot, counted).to_pylist()]
    else:
        found = [HeldInterval(interval, *counts) for interval, counts in snapshot.intervals(symbol).items()]
    return sorted(found, key=lambda held: -INTERVALS.get(held.interval, 0))


def usual_interval(held: Sequence[HeldInterval]) -> str | None:
    """The interval shown when none was asked for: `1d`, derived or not, or else the longest that landed; None without bars.

    `held` is in the order of `intervals_of`.
    """
    if any(each.interval == "1d" for each in held):
        return "1d"
    return next((each.interval for each in sorted(held, key=lambda each: each.is_derived)), None)


def fifty_two_weeks(snapshot: Snapshot, symbol: str, interval: str, *, adjusted: bool = True) -> dict[str, Any] | None:
    """The extremes of the 52 weeks up to the last bar, on the price basis or as traded; None without bars."""
    basis = "basis_" if adjusted else ""
    found = _ask(
        snapshot,
        f"""
        with year as (
            select ts, volume, {basis}high as high, {basis}low as low, {basis}close as close
            from fct_indicator
            where symbol = $symbol and interval = $interval
                and ts > (
                    select max(ts) from fct_indicator where symbol = $symbol and interval = $interval
                ) - interval 364 day
        )
        select
            count(*) as bars, min(ts) as first_ts, max(ts) as last_ts,
            max(year.high) as high, arg_max(ts, year.high) as high_at,
            min(year.low) as low, arg_min(ts, year.low) as low_at,
            100 * (arg_max(close, ts) / nullif(arg_min(close, ts), 0) - 1) as change_pct,
            avg(volume) as mean_volume
        from year
        """,
        symbol=symbol,
        interval=interval,
    ).to_pylist()[0]
    return found if found["bars"] else None


def totals(snapshot: Snapshot) -> dict[str, Any]:
    """Figures of everything published: `symbols`, `bars`, `derived_bars` of these, `alerts`, `first_ts`, `last_ts`.

    The times are null without bars.
    """
    return _ask(
        snapshot,
        """
        select
            count(distinct symbol) as symbols, count(*) as bars, count(derived_from) as derived_bars,
            (select count(*) from fct_alert) as alerts, min(ts) as first_ts, max(ts) as last_ts
        from fct_indicator
        """,
    ).to_pylist()[0]


def alerts_by_rule(snapshot: Snapshot) -> pa.Table:
    """`rule`, `severity`, `alerts`: how many fired of each."""
    return _ask(
        snapshot, "select rule, severity, count(*) as alerts from fct_alert group by rule, severity order by rule, severity"
    )


def movers(snapshot: Snapshot, interval: str, limit: int) -> pa.Table:
    """Each symbol's last bar of this interval, the largest move first, up or down; without those that have no change."""
    return _ask(
        snapshot,
        """
        select symbol, ts, close, price_change_pct, volume, rsi_14
        from (
            select *, row_number() over (partition by symbol order by ts desc) as age
            from fct_indicator where interval = $interval
        )
        where age = 1 and price_change_pct is not null
        order by abs(price_change_pct) desc, symbol limit $limit
        """,
        interval=interval,
        limit=limit,
    )


def _where(selection: Selection) -> tuple[str, dict[str, Any]]:
    conditions = {
        "symbol = $symbol": selection.symbol,
        "interval = $interval": selection.interval,
        "ts >= $start": selection.start,
        "ts < $until": selection.until,
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    bound = {condition.split("$")[1]: value for condition, value in given.items()}
    wanted = [*given]
    if selection.derived is not None:
        wanted.append("derived_from is not null" if selection.derived else "derived_from is null")
    return ("where " + " and ".join(wanted) if wanted else ""), bound


def _series(snapshot: Snapshot, selection: Selection) -> Series | None:
    """The selected bars where they are all of one series; None where they must be asked for in SQL."""
    if selection.symbol is None or selection.interval is None or selection.derived is not None:
        return None
    return snapshot.series(selection.symbol, selection.interval, selection.start, selection.until)


def _ask(snapshot: Snapshot, sql: str, **parameters: Any) -> pa.Table:
    """The answer in finite numbers; of one symbol where `symbol` is among the parameters."""
    return _finite(snapshot.query(sql, parameters, symbol=parameters.get("symbol")))


def _closed(bars: pa.Table) -> pa.Table:
    """What `_BAR` says in SQL."""
    place = bars.schema.get_field_index("is_closed")
    return bars.set_column(place, "is_closed", pc.fill_null(bars.column(place), True))


def _finite(table: pa.Table) -> pa.Table:
    """With NaN and infinities as null: neither JSON nor a chart can carry them."""
    for position, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(position)
            table = table.set_column(position, field, pc.if_else(pc.is_finite(column), column, pa.scalar(None, field.type)))
    return table
