"""The unit tests of the model `int_indicator`, which dbt has none of for Python models: six cases for each indicator.

Every case is played by the kernel alone, by the model's full refresh, and by its incremental step over bars that
come in twelve builds.
"""

from __future__ import annotations

import math
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pstdev, stdev

import duckdb
import pytest
from bar_series import computed, of_closes

import dbt_project
from transform.indicators.kernel import OUTPUTS
from transform.restaging import TABLES as RESTAGING_TABLES

MODEL = runpy.run_path(str(Path(dbt_project.__file__).parent / "models_duckdb" / "intermediate" / "int_indicator.py"))["model"]
COLUMNS = (
    "symbol varchar, interval varchar, ts timestamptz, basis_high double, basis_low double, basis_close double, volume double"
)
SPREAD = 2 * math.sqrt(33.25)  # 20 numbers in a row have the variance (20² − 1) / 12
AFTER_TIE = [*range(41, 60), 59]


def returns(closes: list[int]) -> list[float]:
    return [after / before - 1 for before, after in pairwise(closes)]


@dataclass(frozen=True)
class Expected:
    """What an indicator is: from which bar, where bar n closes at n, where bar 60 repeats bar 59, where nothing moves."""

    first_bar: int
    ramp: Callable[[int], float]
    tie: float
    flat: float | None


# Volumes are 1000 + n on the ramp, with the tie too, and 300 where nothing moves, at a price of 50. An EMA of n bars
# lags (n - 1) / 2 behind a ramp, from its first value on.
EXPECTED = {
    "sma_20": Expected(20, lambda n: n - 9.5, tie=fmean(AFTER_TIE), flat=50),
    "sma_50": Expected(50, lambda n: n - 24.5, tie=fmean([*range(11, 60), 59]), flat=50),
    "ema_12": Expected(12, lambda n: n - 5.5, tie=53.5 + 5.5 * 2 / 13, flat=50),
    "ema_26": Expected(26, lambda n: n - 12.5, tie=46.5 + 12.5 * 2 / 27, flat=50),
    "rsi_14": Expected(15, lambda n: 100, tie=100, flat=None),
    "macd": Expected(34, lambda n: 7, tie=7 + 11 / 13 - 25 / 27, flat=0),
    "macd_signal": Expected(34, lambda n: 7, tie=7 + (11 / 13 - 25 / 27) / 5, flat=0),
    "macd_histogram": Expected(34, lambda n: 0, tie=(11 / 13 - 25 / 27) * 4 / 5, flat=0),
    "bollinger_upper_20": Expected(20, lambda n: n - 9.5 + SPREAD, tie=fmean(AFTER_TIE) + 2 * pstdev(AFTER_TIE), flat=50),
    "bollinger_lower_20": Expected(20, lambda n: n - 9.5 - SPREAD, tie=fmean(AFTER_TIE) - 2 * pstdev(AFTER_TIE), flat=50),
    "atr_14": Expected(15, lambda n: 1, tie=13 / 14, flat=0),
    "volatility_20": Expected(
        21, lambda n: stdev(returns(list(range(n - 20, n + 1)))), tie=stdev(returns([40, *AFTER_TIE])), flat=0
    ),
    "price_change_pct": Expected(2, lambda n: 100 / (n - 1), tie=0, flat=0),
    "mean_volume_20": Expected(20, lambda n: 1000 + n - 9.5, tie=1050.5, flat=300),
    "prior_mean_volume_20": Expected(21, lambda n: 1000 + n - 10.5, tie=1049.5, flat=300),
}

RAMP = tuple((n, float(n), 1000.0 + n) for n in range(1, 61))
CASES = {
    "warm-up": RAMP,
    "gap": tuple((n if n <= 45 else n + 300, close, volume) for n, close, volume in RAMP),  # some days have no bar
    "tie": (*RAMP[:-1], (60, 59.0, 1060.0)),
    "flat": tuple((n, 50.0, 300.0) for n in range(1, 61)),
    "empty": (),
    "one bar": RAMP[:1],
}
"""(day, close, volume) of each bar."""

Values = dict[str, list[float | None]]


def by_kernel(case: str) -> Values:
    bars = CASES[case]
    columns = computed(of_closes([close for _, close, _ in bars], [volume for *_, volume in bars]))
    return {name: [None if math.isnan(value) else value for value in columns[name].tolist()] for name in OUTPUTS}


@dataclass(frozen=True)
class Dbt:
    """What dbt hands to a model, of the little that this one asks."""

    session: duckdb.DuckDBPyConnection
    is_incremental: bool
    this: str = "int_indicator"

    def config(self, **_: object) -> None: ...

    def ref(self, name: str) -> duckdb.DuckDBPyRelation:
        return self.session.table(name)

    def source(self, schema: str, name: str) -> duckdb.DuckDBPyRelation:
        return self.session.table(f"{schema}.{name}")


INT_BAR = """
    create table int_bar (
        symbol varchar, interval varchar, ts timestamptz,
        basis_high double, basis_low double, basis_close double, volume double, change_seq bigint
    )
"""


def by_model(case: str, builds: int) -> Values:
    """The model's rows of a symbol whose bars come in so many builds, beside those of another, which never moves."""
    with duckdb.connect() as session:
        session.execute("create schema control; create table control.build (build_seq bigint, finished_at timestamptz)")
        session.execute(RESTAGING_TABLES)
        session.execute(INT_BAR)
        for build_seq in range(1, builds + 1):
            session.execute("insert into control.build (build_seq) values (?)", [build_seq])
            for symbol, bars in (("OTHER", CASES["flat"]), ("A", CASES[case])):
                landed = bars[len(bars) * (build_seq - 1) // builds : len(bars) * build_seq // builds]
                for day, close, volume in landed:
                    ts = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)
                    row = [symbol, "1d", ts, close, close, close, volume, build_seq]
                    session.execute("insert into int_bar values (?, ?, ?, ?, ?, ?, ?, ?)", row)
            build(session, is_incremental=build_seq > 1)
        rows = session.sql(f"select {', '.join(OUTPUTS)} from int_indicator where symbol = 'A' order by ts").fetchall()
    return {name: [row[at] for row in rows] for at, name in enumerate(OUTPUTS)}


def build(session: duckdb.DuckDBPyConnection, is_incremental: bool) -> None:
    """What dbt does with the model's rows: a table of them, or in place of those with the same key."""
    rows = MODEL(Dbt(session, is_incremental), session)
    rows = rows if hasattr(rows, "num_rows") else rows.read_all()
    session.register("computed", rows)
    if is_incremental:
        session.execute("delete from int_indicator where (symbol, interval, ts) in (select (symbol, interval, ts) from computed)")
        session.execute("insert into int_indicator select * from computed")
    else:
        session.execute("create table int_indicator as select * from computed")


PLAYERS: dict[str, Callable[[str], Values]] = {
    "kernel": by_kernel,
    "full refresh": lambda case: by_model(case, builds=1),
    "incremental": lambda case: by_model(case, builds=12),
}


@cache
def played(player: str, case: str) -> Values:
    return PLAYERS[player](case)


pytestmark = [pytest.mark.parametrize("player", PLAYERS), pytest.mark.parametrize("indicator", EXPECTED)]


def ramp_values(indicator: str) -> list[object]:
    expected = EXPECTED[indicator]
    return [None if n < expected.first_bar else pytest.approx(expected.ramp(n), rel=1e-12, abs=1e-12) for n in range(1, 61)]


def test_warm_up(indicator: str, player: str) -> None:
    assert played(player, "warm-up")[indicator] == ramp_values(indicator)


def test_gap_is_no_bar(indicator: str, player: str) -> None:
    assert played(player, "gap")[indicator] == ramp_values(indicator)


def test_tie_is_a_change_of_nothing(indicator: str, player: str) -> None:
    values = played(player, "tie")[indicator]
    assert values[:-1] == ramp_values(indicator)[:-1]
    assert values[-1] == pytest.approx(EXPECTED[indicator].tie, rel=1e-12, abs=1e-12)


def test_flat_prices(indicator: str, player: str) -> None:
    expected = EXPECTED[indicator]
    warm_up = expected.first_bar - 1
    assert played(player, "flat")[indicator] == [None] * warm_up + [expected.flat] * (60 - warm_up)


def test_empty_input(indicator: str, player: str) -> None:
    assert played(player, "empty")[indicator] == []


def test_one_bar(indicator: str, player: str) -> None:
    assert played(player, "one bar")[indicator] == [None]
