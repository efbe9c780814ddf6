"""What is computed of `int_bar`, and the rows of `int_indicator` that it makes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transform.indicators.kernel import CARRIED, OUTPUTS
from transform.indicators.signals import CROSSINGS, SIGNALS

NUMBERS = ("basis_high", "basis_low", "basis_close", "volume")
"""The columns of `int_bar` that the kernel takes, in its order."""

INDICATOR_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("ts", pa.timestamp("us", tz="UTC")),
        *((name, pa.float64()) for name in OUTPUTS),
        *((name, pa.int8() if name in CROSSINGS else pa.float64()) for name in SIGNALS),
        *((name, pa.int64() if name == "bar_number" else pa.float64()) for name in CARRIED),
        ("change_seq", pa.int64()),
    ]
)


def in_order_of_time(bars: pa.Table) -> pa.Table:
    """The bars sorted by ts, in one piece; as they are where they are sorted, which is usual."""
    ts = bars["ts"].cast(pa.int64()).to_numpy()
    is_sorted = (ts[:-1] <= ts[1:]).all()
    return (bars if is_sorted else bars.take(pa.array(np.argsort(ts, kind="stable")))).combine_chunks()


def indicator_rows(
    keys: pa.Table,
    outputs: NDArray[np.float64],
    signals: NDArray[np.float64],
    carried: NDArray[np.float64],
    change_seq: int,
) -> pa.RecordBatch:
    """Rows in `INDICATOR_SCHEMA`: `keys` has symbol, interval and ts, the arrays are what was computed; NaN becomes null."""
    number, *state = carried
    crossings, ranges = signals[: len(CROSSINGS)], signals[len(CROSSINGS) :]
    columns = [
        *(keys[name].combine_chunks() for name in INDICATOR_SCHEMA.names[:3]),
        *(_nullable(values) for values in outputs),
        *(pa.array(np.nan_to_num(values).astype(np.int8), mask=np.isnan(values)) for values in crossings),
        *(_nullable(values) for values in ranges),
        pa.array(number.astype(np.int64)),
        *(pa.array(values) for values in state),
        pa.repeat(pa.scalar(change_seq, pa.int64()), keys.num_rows),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=INDICATOR_SCHEMA)


def _nullable(values: NDArray[np.float64]) -> pa.Array:
    """NaN becomes null. To look for one in every value takes longer than to see from their sum that there is none."""
    return pa.array(values, from_pandas=bool(np.isnan(values.sum())))
