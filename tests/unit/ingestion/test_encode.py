from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingestion.encode import closing, encode_bars
from ingestion.sources import FEED_SCHEMA
from tickhouse.bar import BAR_SCHEMA

PRODUCED_AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TIME = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
BAR = st.fixed_dictionaries(
    {
        "symbol": TEXT,
        "interval": st.sampled_from(["1m", "1d"]),
        "ts": TIME | TIME.map(lambda time: time.replace(microsecond=0)),
        **dict.fromkeys(["open", "high", "low", "close", "adj_close", "volume"], NUMBER),
        "source": TEXT,
    }
)


def messages(bars: list[dict[str, Any]]) -> tuple[list[bytes], list[dict[str, Any]]]:
    keys, values = encode_bars(pa.Table.from_pylist(bars, schema=FEED_SCHEMA))
    return keys.to_pylist(), [orjson.loads(value + closing(PRODUCED_AT)) for value in values.to_pylist()]


@given(st.lists(BAR, max_size=8))
def test_reading_a_message_gives_the_bar_to_the_bit(bars: list[dict[str, Any]]) -> None:
    keys, values = messages(bars)
    assert keys == [bar["symbol"].encode() for bar in bars]
    for value, bar in zip(values, bars, strict=True):
        assert list(value) == BAR_SCHEMA.names
        assert value["ts"].endswith("Z")
        assert {**value, "ts": datetime.fromisoformat(value["ts"])} == {**bar, "produced_at": "2026-01-02T03:04:05.000006Z"}


@given(BAR, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_json_has_no_number_for_is_null(bar: dict[str, Any], value: float) -> None:
    assert messages([{**bar, "close": value}])[1][0]["close"] is None


def test_a_whole_second_is_written_without_a_fraction() -> None:
    bar = dict.fromkeys(FEED_SCHEMA.names, None) | {
        "symbol": "A",
        "interval": "1d",
        "ts": datetime(2000, 3, 1, tzinfo=UTC),
        "source": "s",
    }
    assert messages([bar])[1][0]["ts"] == "2000-03-01T00:00:00Z"
