"""Messages as hostile as a topic can hold: valid ones bent a little, and bytes of any kind; the same from the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from tickhouse.bar import BAR_SCHEMA, INTERVALS

Headers = list[tuple[str, bytes | None]] | None

OUR_HEADERS: Headers = [("schema_version", b"1")]
VALID = b"""{"symbol":"AAPL","interval":"1d","ts":"2000-03-01T00:00:00Z","open":118.5,"high":132.06,"low":118.5,"close":130.31,\
"adj_close":31.68,"volume":38478000,"source":"stocks.csv","produced_at":"2026-01-02T03:04:05.678901Z"}"""
PIECES = (
    *b'{}[],:"\\\n\t \x00\x1f\x7f\xff',
    *(
        b"null",
        b"true",
        b"NaN",
        b"Infinity",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\\u0041",
        b"\\ud800",
        b"},{",
        b'":"',
        b'"",',
        b"//",
    ),
    *(b"0", b"-", b"+", b".", b"e", b"E5", b"1e308", b"e-400", b"9007199254740993", b"9" * 20, b"0" * 20, b"Z", b"T", b"-02-30"),
    *(f'"{name}":'.encode() for name in BAR_SCHEMA.names),
)
"""What mutations put in, whole bytes as numbers among them."""

_TEXTS = (
    "",
    " ",
    "AAPL",
    " AAPL",
    "BRK.B",
    "日経",
    "A\x00B",
    "A\nB",
    'A"B',
    "\u2028",
    "\ud800",
    "é",
    "S" * 300,
    "null",
    "{",
    "\\",
)
_TIMES = (
    *("", "2000-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-30T00:00:00Z", "2000-03-01T24:00:00Z", "2000-03-01T23:59:60Z"),
    *(
        "0001-01-01T00:00:00Z",
        "0000-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.5Z",
        "2000-03-01T00:00:00",
    ),
    *(
        "2000-03-01T00:00:00.Z",
        "2000-03-01T00:00:00.1234567Z",
        "2000-03-01t00:00:00z",
        "2000-03-01 00:00:00Z",
        "2000-03-01T00:00:00+00:00",
    ),
    *(
        "２０００-03-01T00:00:00Z",
        "2000-03-01T00:00:00Z ",
        "+200-03-01T00:00:00Z",
        "2000-3-01T00:00:00.00Z",
        "2000-00-10T00:00:00Z",
    ),
)
_NUMBERS = (
    *(
        "0",
        "-0",
        "-0.0",
        "0.1",
        "1",
        "1.",
        ".5",
        "01",
        "-",
        "+1",
        "1e5",
        "1E+5",
        "1e",
        "1e+",
        "0e999",
        "1e999",
        "-1e999",
        "1e-400",
    ),
    *("4.9e-324", "2.2250738585072011e-308", "2.2250738585072014e-308", "1.7976931348623157e308", "1.7976931348623159e308"),
    *("9007199254740992", "9007199254740993", "9007199254740995", "18446744073709551615", "18446744073709551616", "1" * 400),
    *("0.30000000000000004", "123456789012345678e-18", "7.2057594037927933e16", "9223372036854775807", "1e22", "1e23", "8.5e22"),
    *("NaN", "Infinity", "-Infinity", "nul", "null", "true", '"1"', "[]", "{}", "1_0", "0x10", "1,2"),
)
_ODD_HEADERS: tuple[Headers, ...] = (
    None,
    [],
    [("schema_version", b"2")],
    [("schema_version", None)],
    [("schema_version", b"")],
    [("schema_version", b"2"), ("schema_version", b"1")],
    [("other", b"\xff\x00"), ("schema_version", b"1")],
)
_KEYS = (b"AAPL", None, b"", b"\xff\x00", b"K" * 200)
_ODD_SHARE = 0.05
_LONGEST_NOISE = 300


@dataclass(frozen=True)
class FuzzedMessage:
    """What Kafka may hand an ingestor."""

    value: bytes | None
    key: bytes | None
    headers: Headers


def fuzzed_messages(seed: int, count: int) -> Iterator[FuzzedMessage]:
    """`count` messages; about a quarter of them are bars."""
    random = Random(seed)
    for _ in range(count):
        headers = random.choice(_ODD_HEADERS) if random.random() < _ODD_SHARE else OUR_HEADERS
        yield FuzzedMessage(_value(random), random.choice(_KEYS), headers)


def in_batches(messages: Iterator[FuzzedMessage], size: int) -> Iterator[list[FuzzedMessage]]:
    while batch := list(islice(messages, size)):
        yield batch


def bend(value: bytes, random: Random) -> bytes:
    """A value like this one, with one to three of its members or bytes changed."""
    for _ in range(random.randint(1, 3)):
        value = random.choice(_BENDINGS)(value, random)
    return value


def _value(random: Random) -> bytes | None:
    chance = random.random()
    if chance < 0.01:
        return None
    if chance < 0.06:
        return random.randbytes(random.randint(0, _LONGEST_NOISE))
    valid = _join(_members(random))
    return valid if chance < 0.25 else bend(valid, random)


def _members(random: Random) -> list[tuple[str, str]]:
    """A bar's fields and their JSON, each a likely one."""
    price, volume = random.lognormvariate(4, 2), random.lognormvariate(8, 4)
    ts = f"{random.randint(1900, 2100)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}T{random.randint(0, 23):02}:30:00Z"
    likely = {
        "symbol": f'"S{random.randint(0, 50)}"',
        "interval": f'"{random.choice(tuple(INTERVALS))}"',
        "ts": f'"{ts}"',
        **{name: _spelled(price * random.uniform(0.9, 1.1), random) for name in ("open", "high", "low", "close")},
        "adj_close": random.choice(("null", _spelled(price, random))),
        "volume": random.choice((str(int(volume)), _spelled(volume, random))),
        "source": '"fuzz"',
        "produced_at": f'"2026-01-02T03:04:05.{random.randint(0, 999999):06}Z"',
    }
    return list(likely.items())


def _spelled(number: float, random: Random) -> str:
    kind = random.choice(("r", ".2f", "f", "e", "g"))
    digits = random.randint(0, 18)
    return repr(number) if kind == "r" else format(number, kind if kind == ".2f" else f".{digits}{kind}")


def _join(members: list[tuple[str, str]], comma: str = ",") -> bytes:
    return ("{" + comma.join(f'"{name}":{text}' for name, text in members) + "}").encode(errors="surrogatepass")


def _change_member(value: bytes, random: Random) -> bytes:
    members = _members(random)
    at = random.randrange(len(members))
    pool = random.choice((_TEXTS, _TIMES, _NUMBERS))
    text = random.choice(pool)
    is_escaped = random.random() < 0.3
    members[at] = (members[at][0], text if pool is _NUMBERS else json.dumps(text, ensure_ascii=is_escaped))
    return _join(members)


def _rearrange_members(value: bytes, random: Random) -> bytes:
    members = _members(random)
    at = random.randrange(len(members))
    match random.randrange(6):
        case 0:
            del members[at]
        case 1:
            members.append(random.choice(members))
        case 2:
            random.shuffle(members)
        case 3:
            members.insert(at, (random.choice(("x", "Open", "\\u006fpen", "open ", "")), random.choice(_NUMBERS)))
        case 4:
            members = [(name, f" \n{text}\t") for name, text in members]
        case _:
            members[at] = ("".join(f"\\u{ord(letter):04x}" for letter in members[at][0]), members[at][1])
    return _join(members, random.choice((",", " , ", ",\n")))


def _put_in(value: bytes, random: Random) -> bytes:
    piece, at = random.choice(PIECES), random.randint(0, len(value))
    return value[:at] + (bytes([piece]) if isinstance(piece, int) else piece) + value[at + random.randint(0, 3) :]


def _flip_byte(value: bytes, random: Random) -> bytes:
    if not value:
        return value
    changed = bytearray(value)
    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(value: bytes, random: Random) -> bytes:
    begin = random.randint(0, len(value))
    return random.choice((value[:begin], value[begin:], value[:begin] + value[begin + random.randint(1, 9) :]))


def _splice(value: bytes, random: Random) -> bytes:
    other = _join(_members(random))
    return value[: random.randint(0, len(value))] + other[random.randint(0, len(other)) :]


_BENDINGS: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(_change_member, _change_member, _rearrange_members),
    *(_put_in, _flip_byte, _cut, _splice),
)
