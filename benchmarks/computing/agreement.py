"""Whether what a way stored is what TA-Lib says: nothing else is worth a measurement."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.computing.by_talib import NAMES, Floats, indicators
from benchmarks.computing.history import History
from transform.warehouse import open_warehouse

RECURSIVE = {"ema_12", "ema_26", "rsi_14", "macd", "macd_signal", "macd_histogram", "atr_14"}
"""What a way that seeds averages elsewhere gets right after a while only; windows are exact from the first."""


def disagreements(history: History, table: str, settled_at: int = 0, tolerance: float = 1e-9) -> list[str]:
    """Columns of a table of indicators that differ from TA-Lib's in any of its rows; none when all is well.

    Tolerance is a share of the value or of the price, whichever is larger. A recursive column is compared from each series'
    bar `settled_at` on.
    """
    with open_warehouse(history.settings) as connection:
        bars = connection.sql(
            """
            select symbol, interval, ts, basis_high as high, basis_low as low, basis_close as close, volume,
                row_number() over (partition by symbol, interval order by ts) as bar_number
            from int_bar order by symbol, interval, ts
            """
        ).to_arrow_table()
        columns = ", ".join(NAMES)
        found = connection.sql(
            f"""
            select {columns}, stored.symbol is not null as is_stored
            from int_bar left join {table} as stored using (symbol, interval, ts) order by symbol, interval, ts
            """
        ).to_arrow_table()
    right = indicators(bars)
    price, is_stored = bars["close"].to_numpy(), found["is_stored"].to_numpy()
    is_settled = is_stored & (bars["bar_number"].to_numpy() >= settled_at)
    return [
        name
        for name in NAMES
        if not _agree(found[name], right[name], price, tolerance, is_settled if name in RECURSIVE else is_stored)
    ]


def _agree(found: pa.ChunkedArray, right: pa.ChunkedArray, price: Floats, tolerance: float, compared: NDArray[np.bool_]) -> bool:
    values, expected = (pc.fill_null(column, np.nan).to_numpy()[compared] for column in (found, right))
    scale = np.fmax(np.fmax(np.abs(values), np.abs(expected)), price[compared])
    is_near = np.abs(values - expected) <= tolerance * scale
    return bool((is_near | (np.isnan(values) & np.isnan(expected))).all())
