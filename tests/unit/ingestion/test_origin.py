from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.origin import ORIGIN_HEADER, Origin, OriginError, origin_columns, read_origin

ORIGIN = Origin("I_s7-CoQ", 2, 1234, 1_700_000_000_123)


def test_an_origin_is_read_as_it_was_written() -> None:
    headers = [("schema_version", b"1"), (ORIGIN_HEADER, ORIGIN.encode()), ("trace", None)]
    assert read_origin(headers) == ORIGIN
    assert ORIGIN.encode() == b"I_s7-CoQ/2/1234/1700000000123"


@pytest.mark.parametrize("headers", [None, [], [("schema_version", b"1")], [("Tickhouse_Origin", b"x")]])
def test_a_message_without_the_header_has_no_origin(headers: list[tuple[str, bytes | None]] | None) -> None:
    assert read_origin(headers) is None


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"I/2/3", b"I/2/3/4/5", b"/2/3/4", b"a b/2/3/4", b"\xff/2/3/4", b"I/-1/3/4", b"I/2/-3/4", b"I/2/3/-2",
        b"I/2/3/4\n", b"I/two/3/4", "I/2/٣/4".encode(), b"I/2147483648/3/4", b"I/2/9223372036854775808/4",
        b"I/2/3/253402300800000",
    ],
)  # fmt: skip
def test_what_is_no_place_in_kafka_is_an_error_that_shows_it(value: bytes | None) -> None:
    with pytest.raises(OriginError, match=ORIGIN_HEADER):
        read_origin([(ORIGIN_HEADER, value)])


def test_an_origin_said_twice_is_an_error() -> None:
    with pytest.raises(OriginError, match="twice"):
        read_origin([(ORIGIN_HEADER, ORIGIN.encode())] * 2)


@given(value=st.one_of(st.none(), st.binary(max_size=60), st.from_regex(rb"\A[\w.-]{0,9}/-?\d{0,20}/-?\d{0,20}/-?\d{0,20}\Z")))
def test_any_value_is_an_origin_or_an_error(value: bytes | None) -> None:
    try:
        origin = read_origin([(ORIGIN_HEADER, value)])
    except OriginError:
        return
    assert origin is not None
    assert read_origin([(ORIGIN_HEADER, origin.encode())]) == origin
    columns = [column[0].as_py() for column in origin_columns({7: origin}, pa.array([7]))]
    assert columns[:3] == [origin.topic_id, origin.partition, origin.offset]
    assert round(columns[3].timestamp() * 1000) == origin.timestamp
