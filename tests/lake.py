"""A lake for tests: bars laid down as landed slots, without Kafka, and the real bars of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.chain.slot import Chain, Genesis, SlotFooter, encode_slot
from tickhouse.bar import LANDED_SCHEMA, ORIGIN_SCHEMA, SCHEMA_VERSION
from tickhouse.settings import Settings
from tickhouse.storage import Storage, open_storage
from transform.dbt import run_dbt
from transform.parsed_project import parsed_project

BEGUN_AT = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def real_bars() -> pd.DataFrame:
    """The 12,154 daily bars of the demo in replay order: AAPL, FB, GOOG, IBM, MSFT from 2000-03-01 to 2013-03-01."""
    spec = find_spec("bokeh_sampledata")
    assert spec is not None and spec.origin is not None
    frame = pd.read_csv(Path(spec.origin).parent / "_data" / "stocks.csv.gz")
    frame.columns = pd.Index(["symbol", "ts", "open", "high", "low", "close", "volume", "adj_close"])
    frame["ts"] = pd.to_datetime(frame["ts"], utc=True)
    return frame.sort_values(["ts", "symbol"], ignore_index=True)


@dataclass
class Lake:
    """One chain that `land` adds slots to; offsets and Kafka timestamps grow with every bar."""

    settings: Settings
    chain: Chain = field(default_factory=lambda: Chain("bars", "incarnation-1", 0))
    position: int = 0

    def __post_init__(self) -> None:
        self.storage: Storage = open_storage(self.settings)
        self.storage.put_if_absent(self.chain.genesis_key, Genesis(0, BEGUN_AT).encode())

    def pass_over(self, offsets: int) -> None:
        """Land a slot that covers so many offsets and holds no bar, as a transaction's markers do."""
        self._put(LANDED_SCHEMA.empty_table(), self.position + offsets)

    def land(self, bars: pd.DataFrame | Sequence[dict[str, Any]]) -> None:
        """Land the bars as one slot. Missing fields get plausible values."""
        given = pd.DataFrame(bars).reset_index(drop=True)
        offsets = range(self.position, self.position + len(given))
        defaults: dict[str, Any] = {
            "interval": "1d",
            "adj_close": None,
            "source": "test",
            "produced_at": BEGUN_AT,
            "topic": self.chain.topic,
            "topic_id": self.chain.topic_id,
            "partition": self.chain.partition,
            "offset": list(offsets),
            **dict.fromkeys(ORIGIN_SCHEMA.names),
            "kafka_timestamp": [pd.Timestamp(BEGUN_AT) + pd.Timedelta(milliseconds=offset) for offset in offsets],
        }
        whole = given.assign(**{name: value for name, value in defaults.items() if name not in given})
        rows = pa.Table.from_pandas(whole, schema=LANDED_SCHEMA, preserve_index=False)
        self._put(rows, self.position + len(given))

    def _put(self, rows: pa.Table, next_offset: int) -> None:
        footer = SlotFooter(
            position=self.position,
            next_offset=next_offset,
            rows=rows.num_rows,
            dead_letters=0,
            dead_letter_key=None,
            writer="test",
            schema_version=SCHEMA_VERSION,
            first_ts=None,
            last_ts=None,
            event_months=tuple(sorted(set(pc.strftime(rows["ts"], "%Y-%m").to_pylist()))),
        )
        assert self.storage.put_if_absent(self.chain.slot_key(self.position), encode_slot(rows, footer))
        self.position = footer.next_offset


def bar(symbol: str, day: int, close: float, **fields: Any) -> dict[str, Any]:
    """A plausible daily bar on the `day`-th day of 2020."""
    ts = pd.Timestamp("2020-01-01", tz="UTC") + pd.Timedelta(days=day)
    prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1000.0}
    return {"symbol": symbol, "interval": "1d", "ts": ts, **prices, **fields}


def run_models(settings: Settings, *arguments: str) -> None:
    """Have dbt run these, with the project as it was parsed; hold `build_lock`."""
    assert run_dbt(settings, "--quiet", *arguments, project=parsed_project(settings)).success
