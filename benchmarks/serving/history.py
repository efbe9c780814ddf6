"""A published history of daily bars with random indicators, laid out as many small publications leave it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from tickhouse.storage import Storage
from transform.marts import FCT_INDICATOR, FCT_INDICATOR_SCHEMA
from transform.snapshot.layout import CELL_ROWS, Cell
from transform.snapshot.manifest import Balance, Manifest
from transform.snapshot.publish import NewMart, Publication, publish

DAYS, TAIL_DAYS = 2_500, 10
BEGIN = datetime(2015, 1, 1, tzinfo=UTC)


def symbol_name(number: int) -> str:
    return f"SYN{number:04d}"


def publish_history(storage: Storage, symbols: int) -> Manifest:
    """`DAYS` bars of each symbol: an era of cells of many symbols, and a tail of the newest days of all."""
    cut = BEGIN + timedelta(days=DAYS - TAIL_DAYS)
    mart = NewMart(_cells(symbols), cuts={"1d": (cut,)})
    rows = symbols * DAYS
    balance = Balance(landed=rows, current=rows, superseded=0, quarantined=0)
    return publish(storage, Publication(None, 1, None, {}, balance, None, {FCT_INDICATOR: mart}))


def _cells(symbols: int) -> Iterator[tuple[Cell, pa.Table]]:
    a_cell = CELL_ROWS // DAYS
    for first in range(0, symbols, a_cell):
        numbers = range(first, min(first + a_cell, symbols))
        until = symbol_name(numbers.stop) if numbers.stop < symbols else None
        yield Cell(0, symbol_name(first) if first else "", until), _bars(numbers, range(DAYS - TAIL_DAYS))
    yield Cell(1), _bars(range(symbols), range(DAYS - TAIL_DAYS, DAYS))


def _bars(numbers: range, days: range) -> pa.Table:
    """The days of these symbols: prices, indicators and volumes are random, for nothing here depends on them."""
    rows, random = len(numbers) * len(days), np.random.default_rng(numbers.start)
    times = np.datetime64(BEGIN.replace(tzinfo=None), "us") + np.arange(days.start, days.stop).astype("timedelta64[D]")
    constant = {
        "interval": "1d",
        "price_basis": "raw",
        "source": "synthetic",
        "derived_from": None,
        "is_closed": True,
        "change_seq": 1,
    }
    columns = {
        "symbol": pa.array(np.repeat([symbol_name(number) for number in numbers], len(days))),
        "ts": pa.array(np.tile(times, len(numbers)), pa.timestamp("us", tz="UTC")),
    }
    for field in FCT_INDICATOR_SCHEMA:
        if field.name in constant:
            columns[field.name] = pa.repeat(pa.scalar(constant[field.name], field.type), rows)
        elif field.name not in columns:
            columns[field.name] = pa.array(random.lognormal(4, 1, rows))
    return pa.table(columns).select(FCT_INDICATOR_SCHEMA.names).cast(FCT_INDICATOR_SCHEMA)
