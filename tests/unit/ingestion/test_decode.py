from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingestion import decode as decoding
from ingestion.decode import DECODED_SCHEMA, Decoded
from ingestion.decode.fast import Columns, parse
from ingestion.messages import Messages
from tickhouse.bar import BAR_SCHEMA, INTERVALS

VERSION = [("schema_version", b"1")]
BAR = {
    "symbol": "AAPL",
    "interval": "1d",
    "ts": "2000-03-01T00:00:00Z",
    "open": 118.5,
    "high": 132,
    "low": 118.5,
    "close": 130.25,
    "adj_close": 31.68,
    "volume": 38478000,
    "source": "stocks.csv",
    "produced_at": "2026-01-02T03:04:05.678901Z",
}


def message(**changes: Any) -> bytes:
    return json.dumps({**BAR, **changes}).encode()


def without(*names: str) -> bytes:
    return json.dumps({name: value for name, value in BAR.items() if name not in names}).encode()


def decode(values: Sequence[bytes | None], headers: Sequence[Any]) -> Decoded:
    messages = Messages()
    for offset, (value, own) in enumerate(zip(values, headers, strict=True)):
        messages.append(offset, 0, None, value, own)
    return decoding.decode(messages)


def decode_all(*values: bytes | None) -> Decoded:
    return decode(values, [VERSION] * len(values))


def the_one(value: bytes | None, headers: Any = VERSION) -> Any:
    """What becomes of one message, between two good ones: its row, or (stage, reason)."""
    decoded = decode([message(), value, message()], [VERSION, headers, VERSION])
    assert set(decoded.indices.tolist()) | {one.index for one in decoded.rejected} == {0, 1, 2}
    if decoded.rejected:
        assert decoded.indices.tolist() == [0, 2]
        (one,) = decoded.rejected
        assert one.index == 1
        return one.stage, one.reason
    return decoded.bars.to_pylist()[1]


def test_a_message_is_a_bar_in_the_bars_schema() -> None:
    decoded = decode_all(message())
    assert decoded.bars.schema.equals(DECODED_SCHEMA, check_metadata=True)
    assert decoded.bars.to_pylist() == [
        {
            **BAR,
            "ts": datetime(2000, 3, 1, tzinfo=UTC),
            "produced_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        }
    ]
    assert decoded.rejected == []
    assert not decoded.extra_fields


def test_no_messages_are_no_bars() -> None:
    decoded = decode([], [])
    assert decoded.bars.schema.equals(DECODED_SCHEMA)
    assert (decoded.bars.num_rows, len(decoded.indices), decoded.rejected) == (0, 0, [])


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "adj_close", "volume"])
def test_a_price_may_be_null_but_not_missing(name: str) -> None:
    assert the_one(message(**{name: None}))[name] is None
    assert the_one(without(name)) == ("fields", f"missing: {name}")


def test_every_field_must_be_there() -> None:
    for name in BAR_SCHEMA.names:
        assert the_one(without(name)) == ("fields", f"missing: {name}")
    assert the_one(b"{}") == ("fields", f"missing: {', '.join(BAR_SCHEMA.names)}")


def test_unknown_fields_are_left_out_and_counted() -> None:
    decoded = decode_all(message(vwap=1), message(), message(vwap={"a": [1, 2]}, trades=None))
    assert decoded.bars.num_rows == 3
    assert decoded.extra_fields == {"vwap": 2, "trades": 1}
    assert decoded.bars.column_names == BAR_SCHEMA.names


def test_the_order_of_the_fields_and_blanks_between_them_do_not_matter() -> None:
    swapped = json.dumps(dict(reversed(BAR.items())), indent=3).encode()
    assert b"\n" in swapped
    assert the_one(b"\r\n\t " + swapped + b" \n") == the_one(message())


@pytest.mark.parametrize(
    ("value", "stage"),
    [
        (None, "json"),
        (b"", "json"),
        (b" ", "json"),
        (b"null", "json"),
        (b"1", "json"),
        (b'"a"', "json"),
        (b"[]", "json"),
        (b"\xff\xfe", "json"),
        (b"\x00", "json"),
        (message()[:-1], "json"),
        (message() + b"}", "json"),
        (message() + message(), "json"),
        (message() + b"\n" + message(), "json"),
        (message() + b"," + message(), "json"),
        (b"\xef\xbb\xbf" + message(), "json"),
        (message().decode().encode("utf-16"), "json"),
        (message().replace(b"AAPL", b"AA\xffPL"), "json"),
        (message().replace(b"AAPL", b"AA\nPL"), "json"),
        (message().replace(b"AAPL", b"\\ud800"), "json"),
        (message().replace(b"118.5", b"NaN"), "json"),
        (message().replace(b"118.5", b"Infinity"), "json"),
        (message().replace(b"118.5", b"-Infinity"), "json"),
        (message().replace(b"118.5", b"1."), "json"),
        (message().replace(b"118.5", b"01"), "json"),
        (message()[:-1] + b',"open":2}', "json"),
        (message()[:-1] + b',"open":118.5}', "json"),
        (message()[:-1] + b',"\\u006fpen":2}', "json"),
        (b"[" * 100_000, "json"),
        (b'{"a":' * 100_000, "json"),
        (message(open="118.5"), "fields"),
        (message(open=True), "fields"),
        (message(volume=[1]), "fields"),
        (message(volume={}), "fields"),
        (message(symbol=None), "fields"),
        (message(symbol=7), "fields"),
        (message(interval=None), "fields"),
        (message(source=None), "fields"),
        (message(ts=None), "fields"),
        (message(ts=951868800), "fields"),
        (message(ts=-1), "fields"),
        (message(produced_at=1.5), "fields"),
        (message().replace(b"118.5", b"1e999"), "values"),
        (message().replace(b"118.5", b"-" + b"9" * 400), "values"),
        (message().replace(b"118.5", b"9" * 5000), "values"),
        (message(symbol=""), "values"),
        (message(symbol=" "), "values"),
        (message(symbol=" AAPL"), "values"),
        (message(symbol="AA\x00PL"), "values"),
        (message(symbol="AA\nPL"), "values"),
        (message(interval=""), "values"),
        (message(interval="2d"), "values"),
        (message(interval="1D"), "values"),
        (message(ts=""), "values"),
        (message(ts="2000-03-01"), "values"),
        (message(ts="2000-03-01T00:00:00"), "values"),
        (message(ts="2000-03-01T00:00:00+00:00"), "values"),
        (message(ts="2000-03-01T00:00:00+01:00"), "values"),
        (message(ts="2000-03-01 00:00:00Z"), "values"),
        (message(ts="2000-03-01T00:00:00z"), "values"),
        (message(ts="2000-03-01T00:00Z"), "values"),
        (message(ts="2000-03-01T00:00:00.1234567Z"), "values"),
        (message(ts="2000-03-01T00:00:00Z\n"), "values"),
        (message(ts="2000-02-30T00:00:00Z"), "values"),
        (message(ts="1900-02-29T00:00:00Z"), "values"),
        (message(ts="2000-13-01T00:00:00Z"), "values"),
        (message(ts="2000-03-01T24:00:00Z"), "values"),
        (message(ts="2000-03-01T23:59:60Z"), "values"),
        (message(ts="0000-03-01T00:00:00Z"), "values"),
        (message(ts="-001-03-01T00:00:00Z"), "values"),
        (message(ts="12000-03-01T00:00:00Z"), "values"),
        (message(ts="２０００-03-01T00:00:00Z"), "values"),
        (message(produced_at="now"), "values"),
    ],
)
def test_what_is_no_bar_is_rejected_with_its_stage(value: bytes | None, stage: str) -> None:
    found, reason = the_one(value)
    assert found == stage
    assert reason
    assert len(reason) < 300
    assert reason.encode()


@pytest.mark.parametrize("name", ["symbol", "interval", "ts", "produced_at"])
def test_an_empty_text_that_begins_a_batch_is_rejected_as_anywhere(name: str) -> None:
    (rejected,) = decode_all(message(**{name: ""})).rejected
    assert rejected.stage == "values"


@pytest.mark.parametrize(
    ("changes", "stage", "reason"),
    [
        ({"open": "1"}, "fields", "open is not a number: '1'"),
        ({"symbol": 7}, "fields", "symbol is not a text: 7"),
        ({"interval": "2d"}, "values", "interval is none of 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w: '2d'"),
        ({"ts": "2000-02-30T00:00:00Z"}, "values", "ts is not a UTC time such as 2000-03-01T00:00:00Z: '2000-02-30T00:00:00Z'"),
        ({"symbol": "", "interval": "2d"}, "values", "symbol is not a name that can be shown: ''"),
    ],
)
def test_the_reason_names_the_field_and_shows_the_value(changes: dict[str, Any], stage: str, reason: str) -> None:
    assert the_one(message(**changes)) == (stage, reason)


@pytest.mark.parametrize(
    ("ts", "is_"),
    [
        ("1962-01-02T00:00:00Z", datetime(1962, 1, 2, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2000-02-29T00:00:00.5Z", datetime(2000, 2, 29, 0, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_times_before_1970_and_with_fractions_are_times(ts: str, is_: datetime) -> None:
    assert the_one(message(ts=ts))["ts"] == is_


@pytest.mark.parametrize("symbol", ["BRK.B", "BRK B", "BTC/USD", "^GSPC", "ÅSA", "日経", 'A"B', "{", "a,b"])
def test_a_symbol_is_any_name_that_can_be_shown(symbol: str) -> None:
    assert the_one(message(symbol=symbol))["symbol"] == symbol


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_known_interval_is_taken(interval: str) -> None:
    assert the_one(message(interval=interval))["interval"] == interval


@pytest.mark.parametrize("number", [0, -0.0, 1e-320, 1.7976931348623157e308, 2**53 + 1, 2**63, 2**64, 10**300, 0.1, -1])
def test_numbers_are_the_nearest_float64(number: float) -> None:
    value = the_one(message(open=number))["open"]
    assert value == float(number)


@pytest.mark.parametrize(
    ("headers", "is_known"),
    [
        ([("schema_version", b"1")], True),
        ([("other", b"x"), ("schema_version", b"1")], True),
        ([("schema_version", b"2"), ("schema_version", b"1")], True),
        (None, True),
        ([], True),
        ([("other", None)], True),
        ([("schema_version", b"2")], False),
        ([("schema_version", b"")], False),
        ([("schema_version", None)], False),
        ([("schema_version", b"01")], False),
        ([("schema_version", b"\xff")], False),
        ([("schema_version", b"1"), ("schema_version", b"2")], False),
    ],
)
def test_an_unknown_schema_version_is_rejected(headers: Any, is_known: bool) -> None:
    found = the_one(message(), headers)
    assert isinstance(found, dict) if is_known else found[0] == "version"


def test_places_are_kept_over_many_messages() -> None:
    values = [message(volume=number) if number % 700 else b"poison" for number in range(5000)]
    decoded = decode(values, [VERSION] * len(values))
    assert [one.index for one in decoded.rejected] == list(range(0, 5000, 700))
    assert decoded.indices.tolist() == [number for number in range(5000) if number % 700]
    assert decoded.bars["volume"].to_pylist() == decoded.indices.tolist()


def test_one_impossible_date_among_many_takes_none_with_it() -> None:
    days = [f"2000-02-{day:02}T00:00:00Z" for day in range(1, 32)] * 50
    decoded = decode_all(*(message(ts=day) for day in days))
    assert len(decoded.rejected) == 100
    assert {row["ts"].day for row in decoded.bars.to_pylist()} == set(range(1, 30))


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["1d", "2000-03-01T00:00:00Z", "2000-02-30T00:00:00Z", "", " "]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["open", "x"]), st.integers(), max_size=2),
)
FIELDS = st.sampled_from([*BAR, "x", "y"])
NUMBERS = st.sampled_from(
    ["-0", "1e999", "-1E-400", "0.1e1", "9007199254740993", "18446744073709551616", "1" * 350, "NaN", "01", "1."]
)


@st.composite
def messages(draw: st.DrawFn) -> bytes | None:
    """Messages close to good ones: fields changed, missing, repeated, and their bytes tampered with."""
    members = [(name, json.dumps(value)) for name, value in BAR.items()]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(len(members) - 1, 0)))
        match draw(st.sampled_from(["change", "change number", "remove", "add", "blank"])):
            case "change" if members:
                members[at] = (members[at][0], json.dumps(draw(JSON_VALUES)))
            case "change number" if members:
                members[at] = (members[at][0], draw(NUMBERS))
            case "remove" if members:
                del members[at]
            case "add":
                members.append((draw(FIELDS), json.dumps(draw(JSON_VALUES))))
            case "blank" if members:
                members[at] = (members[at][0], f" \n{members[at][1]}\t")
    value = bytearray(("{" + ",".join(f'"{name}":{text}' for name, text in members) + "}").encode())
    if draw(st.integers(0, 4)) == 0:
        piece = draw(
            st.sampled_from([b",", b"{", b"}", b'"', b"\\", b"\n", b"[", b"]", b"null", b"\xff", b"},{", b"}\n{", b"", b":"])
        )
        start = draw(st.integers(0, len(value)))
        value[start : start + draw(st.integers(0, 3))] = piece
    return draw(st.sampled_from([bytes(value), bytes(value), bytes(value), None]))


def nothing_parsed(*batch: Any) -> Columns:
    columns = parse(*batch)
    columns.is_parsed[:] = False
    return columns


def outcome(decoded: Decoded) -> Any:
    return decoded.bars.to_pylist(), decoded.indices.tolist(), decoded.rejected, decoded.extra_fields


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(messages(), st.sampled_from([VERSION, None, [("schema_version", b"2")]])), max_size=6))
def test_the_fast_way_says_what_the_careful_way_says(batch: list[tuple[bytes | None, Any]]) -> None:
    values, headers = [value for value, _ in batch], [own for _, own in batch]
    together = decode(values, headers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "parse", nothing_parsed)
        carefully = decode(values, headers)
    assert outcome(together) == outcome(carefully)
    assert together.bars.cast(BAR_SCHEMA).equals(carefully.bars.cast(BAR_SCHEMA))
    for index, (value, own) in enumerate(batch):
        alone = decode([value], [own])
        assert [(one.stage, one.reason) for one in alone.rejected] == [
            (one.stage, one.reason) for one in together.rejected if one.index == index
        ]


def test_clean_messages_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "parse_message", lambda value, headers: pytest.fail("a clean message was parsed for itself"))
    assert decode_all(*[message(), message(adj_close=None), without() + b"\n"] * 10).bars.num_rows == 30


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_bytes_whatever_raise(values: list[bytes]) -> None:
    decoded = decode_all(*values)
    assert len(decoded.rejected) == len(values)
