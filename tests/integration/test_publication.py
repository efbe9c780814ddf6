"""What is published anew: the marts that changed, and no other."""

from __future__ import annotations

from lake import Lake, bar

from tickhouse.settings import Settings
from transform.build import run_build
from transform.marts import DIM_INSTRUMENT, FCT_ALERT, FCT_INDICATOR
from transform.publication import publish_warehouse
from transform.snapshot.read import SnapshotReader
from transform.warehouse import open_warehouse


def test_a_description_that_changed_is_published_and_bars_keep_their_files(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("AAPL", 0, 1.0)])
    first = run_build(build_settings).manifest
    with open_warehouse(build_settings) as connection:
        connection.execute("update instrument set name = 'Apple Computer, Inc.' where symbol = 'AAPL'")
    second = publish_warehouse(build_settings, lake.storage)
    assert second.number == first.number + 1
    assert second.marts[DIM_INSTRUMENT] != first.marts[DIM_INSTRUMENT]
    assert [second.marts[name] for name in (FCT_INDICATOR, FCT_ALERT)] == [
        first.marts[name] for name in (FCT_INDICATOR, FCT_ALERT)
    ]
    with SnapshotReader(lake.storage).pin() as snapshot:
        assert snapshot is not None
        found = snapshot.query("select name from dim_instrument where symbol in ('000001.SS', 'AAPL') order by symbol")
        assert found["name"].to_pylist() == ["SSE Composite Index", "Apple Computer, Inc."]


def test_descriptions_that_stayed_are_not_published_again(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("AAPL", 0, 1.0)])
    first = run_build(build_settings).manifest
    lake.land([bar("AAPL", 1, 1.0)])
    second = run_build(build_settings).manifest
    assert second.number == first.number + 1
    assert second.marts[DIM_INSTRUMENT] == first.marts[DIM_INSTRUMENT]
