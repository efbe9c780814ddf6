from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.sources.mapping import MAPPABLE, REQUIRED, SHAPES, SourceError, choose_mapping, parse_mapping

OWN = dict(zip(REQUIRED, REQUIRED, strict=True))
COLUMN = st.text(st.characters(exclude_characters=",", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda text: text.strip() == text
)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_known_shape_is_recognised_in_any_order_with_columns_that_are_not_its_own(shape: str) -> None:
    columns = SHAPES[shape]
    assert choose_mapping([*reversed(columns.values()), "CloseUSD", "Unnamed: 0"]) == columns


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_known_shape_may_lack_what_a_bar_may_lack(shape: str) -> None:
    needed = {field: SHAPES[shape][field] for field in REQUIRED}
    assert choose_mapping(list(needed.values())) == needed


def test_a_mapping_wins_over_the_recognised_shape_and_leaves_the_rest_of_it() -> None:
    columns = [*SHAPES["exchange indices"].values(), "CloseUSD"]
    assert choose_mapping(columns, given={"close": "CloseUSD"}) == {**SHAPES["exchange indices"], "close": "CloseUSD"}


def test_a_file_without_a_symbol_column_takes_a_given_symbol() -> None:
    assert "symbol" not in choose_mapping(["Date", "Open", "High", "Low", "Close", "Volume"], symbol="X")


@pytest.mark.parametrize("column", ["Ticker", "Index"])
def test_a_symbol_for_a_file_that_has_them_is_refused(column: str) -> None:
    with pytest.raises(SourceError, match=f"prices.csv has its symbols in the column '{column}'"):
        choose_mapping([column, "Date", "Open", "High", "Low", "Close", "Volume"], symbol="X", where="prices.csv")


def test_unknown_columns_are_answered_with_what_there_is_and_the_way_to_map() -> None:
    with pytest.raises(SourceError) as caught:
        choose_mapping(["Ticker", "Date", "Open", "High", "Low", "Last", "Volume"], where="prices.csv")
    message = str(caught.value)
    assert "cannot tell which columns of prices.csv are a bar's close." in message
    assert "It has: Ticker, Date, Open, High, Low, Last, Volume" in message
    assert "S&P 500 set: Name, date, open, high, low, close, volume" in message
    assert message.endswith("--map close=<column>")


def test_a_file_without_any_symbol_is_told_of_the_option() -> None:
    with pytest.raises(SourceError, match=r"--symbol <symbol>"):
        choose_mapping(["Date", "Open", "High", "Low", "Close", "Volume"])


@pytest.mark.parametrize("time", ["timestamp", "Timestamp", "TIME", "datetime", "DateTime", "DATE"])
def test_columns_are_recognised_by_their_names_in_capitals_or_not(time: str) -> None:
    columns = ["SYMBOL", time, "Open", "HIGH", "low", "CLOSE", "ADJ CLOSE", "Volume", "Currency"]
    fields = ["symbol", "ts", "open", "high", "low", "close", "adj_close", "volume"]
    assert choose_mapping(columns) == dict(zip(fields, columns, strict=False))


def test_a_column_of_a_known_shape_and_one_known_by_its_name_go_together() -> None:
    assert choose_mapping(["Name", "time", *REQUIRED[2:]]) == {**OWN, "symbol": "Name", "ts": "time"}


def test_a_time_in_two_columns_is_not_guessed() -> None:
    with pytest.raises(SourceError, match=r"a bar's ts\."):
        choose_mapping(["Symbol", "DATE", "TIME", *REQUIRED[2:]])


def test_a_mapped_column_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match=r"no column 'Last'.* It has: symbol, ts"):
        choose_mapping(list(OWN), given={"close": "Last"})


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(SourceError, match=r"more than one column 'close'"):
        choose_mapping([*OWN, "close"])


def test_a_field_that_no_bar_has_is_refused() -> None:
    with pytest.raises(SourceError, match=r"no field price to map to; its fields are symbol, ts"):
        parse_mapping("price=Last")


@pytest.mark.parametrize("text", ["", "close", "close=", "=Last", "close=Last,", "close=Last,close=Close"])
def test_a_mapping_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match=r"mapping"):
        parse_mapping(text)


@given(st.dictionaries(st.sampled_from(MAPPABLE), COLUMN, min_size=1))
def test_a_mapping_is_read_as_it_is_written(mapping: dict[str, str]) -> None:
    assert parse_mapping(",".join(f" {field} = {column} " for field, column in mapping.items())) == mapping


@given(st.lists(st.sampled_from([*OWN, "Date", "Close", "Ticker", "Name", "x"])), st.none() | st.just("X"))
def test_whatever_the_columns_every_field_has_one_or_the_file_is_refused(found: list[str], symbol: str | None) -> None:
    try:
        chosen = choose_mapping(found, symbol=symbol)
    except SourceError:
        return
    assert set(REQUIRED) - set(chosen) == ({"symbol"} if symbol else set())
    assert set(chosen.values()) <= set(found)


@pytest.mark.parametrize(
    ("column", "meant"), [("date", " (did you mean 'DATE'?)"), ("dtae", " (did you mean 'DATE'?)"), ("quantity", "")]
)
def test_a_mapped_column_that_is_missing_is_guessed(column: str, meant: str) -> None:
    with pytest.raises(SourceError, match=re.escape(f"no column '{column}', which the mapping names{meant}. It has: DATE, Open")):
        choose_mapping(["DATE", "Open"], given={"ts": column})
