"""What is wrong with five years of the S&P 500, by name: exactly that is quarantined, each row with exactly the rules it breaks.

The names are those of the set's own README, and each was looked up in the raw file; the set lies beside the checkout.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pyarrow.parquet as pq
from lake import Lake
from real_series import shared_data, sp500_bars

from tickhouse.settings import Settings
from transform.validation.record import walk_records
from transform.validation.run import validate_new_slots

LACKS_OPEN_HIGH_LOW = {
    *(("BHF", "2017-07-26"), ("DHR", "2016-01-12"), ("FTV", "2016-07-01"), ("O", "2016-01-12")),
    *(("REGN", "2015-06-09"), ("UA", "2016-04-07"), ("VRTX", "2015-05-12"), ("WRK", "2015-06-26")),
}
LACKS_OPEN = {("DHR", "2015-07-17"), ("ES", "2015-07-17"), ("O", "2015-07-17")}
CLOSES_OUTSIDE = {
    *(("AOS", "2014-05-19"), ("BBY", "2016-03-14"), ("CHK", "2014-06-30"), ("IP", "2014-07-01"), ("LNT", "2016-05-19")),
    *(("O", "2014-08-27"), ("SPG", "2014-05-28"), ("UA", "2016-06-10"), ("WRK", "2016-05-13")),
}
OPENS_OUTSIDE = {("AOS", "2014-05-19"), ("CHD", "2014-05-19"), ("DHR", "2014-11-06"), ("O", "2014-11-06")}


def by_raw_input(bars: pd.DataFrame) -> dict[tuple[str, str], set[str]]:
    """The rules that each row breaks, by pandas alone."""
    broken = {
        **{f"{name}_is_given": bars[name].isna() for name in ("open", "high", "low", "close", "volume")},
        "high_is_not_below_low": bars["high"] < bars["low"],
        "open_is_not_above_high": bars["open"] > bars["high"],
        "open_is_not_below_low": bars["open"] < bars["low"],
        "close_is_not_above_high": bars["close"] > bars["high"],
        "close_is_not_below_low": bars["close"] < bars["low"],
    }
    found: dict[tuple[str, str], set[str]] = {}
    for rule, rows in broken.items():
        for row in bars[rows].itertuples():
            found.setdefault((row.symbol, row.date), set()).add(rule)
    return found


@shared_data
def test_exactly_the_dirty_rows_of_the_sp500_are_quarantined(build_settings: Settings) -> None:
    bars = sp500_bars()
    expected = by_raw_input(bars)
    lake = Lake(build_settings)
    for _, year in bars.assign(ts=pd.to_datetime(bars["date"], utc=True)).groupby(bars["date"].str[:4]):
        lake.land(year.drop(columns="date"))
    outcome = validate_new_slots(build_settings, lake.storage)
    records = list(walk_records(lake.storage, lake.chain))
    keys = [record.quarantine_key for record in records if record.quarantine_key is not None]
    rows = [row for key in keys for row in pq.read_table(lake.storage.local_path(key), partitioning=None).to_pylist()]
    quarantined = {(row["symbol"], f"{row['ts']:%Y-%m-%d}"): set(row["reasons"]) for row in rows}

    assert outcome.blocked is None
    assert (outcome.rows, outcome.quarantined, len(rows)) == (619_040, 23, 23)
    assert sum(record.quarantined_rows for record in records) == 23
    assert quarantined == expected
    assert outcome.failures == Counter(rule for rules in expected.values() for rule in rules)


@shared_data
def test_the_dirty_rows_are_those_that_the_sets_readme_names() -> None:
    broken = by_raw_input(sp500_bars())

    def breaking(*rules: str) -> set[tuple[str, str]]:
        return {row for row, own in broken.items() if own & set(rules)}

    assert breaking("high_is_given") == breaking("low_is_given") == LACKS_OPEN_HIGH_LOW
    assert breaking("open_is_given") == LACKS_OPEN_HIGH_LOW | LACKS_OPEN
    assert breaking("high_is_not_below_low") == {("AOS", "2014-05-19")}
    assert breaking("close_is_not_above_high", "close_is_not_below_low") == CLOSES_OUTSIDE
    assert breaking("open_is_not_above_high", "open_is_not_below_low") == OPENS_OUTSIDE
    assert set(broken) == LACKS_OPEN_HIGH_LOW | LACKS_OPEN | CLOSES_OUTSIDE | OPENS_OUTSIDE
