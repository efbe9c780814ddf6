from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from letters import BEGUN_MS, Said, again, good, land, poison
from rich.console import Console, RenderableType

from apps.cli.letters import (
    json_lines,
    letter_report,
    letters_console,
    list_report,
    parse_since,
    printable,
    time_text,
    value_text,
)
from apps.cli.resending import parse_mending, parse_wish
from ingestion.dlq.book import LetterBook, Search
from ingestion.dlq.letter import Letter, Place
from ingestion.dlq.resend import Mending, parse_header, resent_headers
from tickhouse.storage.local import LocalStorage

NOW = datetime(2026, 1, 8, 12, tzinfo=UTC)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def shown(what: RenderableType, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", datetime(2026, 1, 8, 11, 58, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 1, 8, 10, tzinfo=UTC)),
        ("1w", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+01:00", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
    ],
)
def test_since_is_a_time_or_so_long_ago(text: str, at: datetime) -> None:
    assert parse_since(text, NOW) == at.timestamp() * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-2h", "100000w"])
def test_a_since_that_is_neither_says_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match="2026-01-31T12:00, or so long ago: 90s"):
        parse_since(text, NOW)


def test_the_list_tells_each_letter_its_state_and_the_totals(storage: LocalStorage) -> None:
    land(storage, [poison(0, 1), Said(b"{}", 2), poison(2, 3), good(3, 4)])
    land(storage, [again(good(9, 5), "now", 0, 0, 1), again(Said(b"{}", 6), "now", 0, 1, 2)])
    book = LetterBook(storage, "bars")
    lines = shown(list_report(book, Search(), 0)).splitlines()
    assert [line.split(maxsplit=4) for line in lines[2:8:2]] == [
        ["0/2", "2026-01-01T00:00:00.003Z", "json", "AAPL", "waiting"],
        ["0/1", "2026-01-01T00:00:00.002Z", "fields", "AAPL", "dead again at 0/5"],
        ["0/0", "2026-01-01T00:00:00.001Z", "json", "AAPL", "landed as 0/4"],
    ]
    assert [line[:4] for line in lines[3:9:2]] == ["    "] * 3
    assert lines[5].startswith("    missing: symbol, interval, ts")
    assert lines[8:] == [
        "3 dead letters of topic bars, beside 2 bars.",
        "fields: 1 waiting",
        "json: 1 waiting, 1 landed since",
    ]


def test_the_list_says_what_it_does_not_show(storage: LocalStorage) -> None:
    land(storage, [poison(number, number) for number in range(5)])
    text = shown(list_report(LetterBook(storage, "bars"), Search(), 2))
    assert text.count("waiting") == 3


def test_a_letter_takes_two_lines_of_a_narrow_terminal_and_is_whole_off_one(storage: LocalStorage) -> None:
    land(storage, [Said(b"{}", 1, b"K" * 300), poison(1), again(Said(b"{}"), "now", 0, 0)])
    report = list_report(LetterBook(storage, "bars"), Search(), 0)
    narrow = shown(report, width=80).splitlines()
    assert len(narrow) == 2 * 3 + 3, "the head, two letters, three lines of totals"
    assert max(map(len, narrow)) <= 80
    assert "KKK…  " in narrow[4]
    assert narrow[5].endswith("…")
    assert "…" not in shown(report, letters_console().width).replace("K…", "")


def test_the_list_says_how_many_it_does_not_show(storage: LocalStorage) -> None:
    land(storage, [poison(number, number) for number in range(5)])
    text = shown(list_report(LetterBook(storage, "bars"), Search(), 2))
    assert "The newest 2 are listed; --limit 0 lists all." in text


def test_where_there_are_none_the_list_says_so(storage: LocalStorage) -> None:
    assert "no dead letters; 0 bars have landed" in shown(list_report(LetterBook(storage, "bars"), Search(), 5))
    land(storage, [poison(0)])
    assert "None of the dead letters" in shown(list_report(LetterBook(storage, "bars"), Search(stage="values"), 5))


def test_programs_get_an_object_a_line(storage: LocalStorage) -> None:
    land(storage, [Said(b"x", 1, b"\xff"), Said(None, 2, None)])
    land(storage, [again(good(0, 3), "now", 0, 0, 1)])
    second, first = map(json.loads, json_lines(LetterBook(storage, "bars"), Search(), 0))
    assert first.pop("reason")
    assert first == {
        "place": "0/0",
        "topic": "bars",
        "topic_id": "now",
        "partition": 0,
        "offset": 0,
        "timestamp": "2026-01-01T00:00:00.001Z",
        "stage": "json",
        "key_base64": "/w==",
        "bytes": 1,
        "is_landed": True,
        "replays": [{"place": "0/2", "is_bar": True}],
    }
    assert (second["key_base64"], second["bytes"], second["is_landed"], second["replays"]) == (None, None, False, [])


def test_a_letter_is_shown_with_its_whole_story(storage: LocalStorage) -> None:
    land(storage, [Said(b'{"a":\n1}', 1, b"\x1b[31m", [("trace", b"\x07"), ("none", None)])])
    land(storage, [again(poison(0, 2), "now", 0, 0, 1)])
    land(storage, [again(good(0, 3), "now", 0, 0, 1)])
    book = LetterBook(storage, "bars")
    text = shown(letter_report(book, book.read(book.place("0/0"))))
    assert "\x1b" not in text and "\x07" not in text
    for part in ("\\x1b[31m", "trace = \\x07", "none = –", "fields", 'value, 8 bytes:\n{"a":\n1}', "landed as 0/2"):
        assert part in text
    assert "dead again at 0/1: json" in text
    assert "replay of 0/0" in shown(letter_report(book, book.read(book.place("0/1"))))


def test_a_value_that_is_no_text_is_shown_in_hexadecimal() -> None:
    assert value_text(b"\x00AB\xff") == "value, 4 bytes:\n00000000  00 41 42 ff" + " " * 36 + "  .AB."
    assert value_text(None) == "no value (a tombstone)"


def test_of_a_long_value_the_beginning_is_shown() -> None:
    text = value_text(b"a" * 5000)
    assert text.count("a" * 64) == 64
    assert text.endswith("… 904 bytes more: --raw writes them all")


def test_whatever_the_bytes_no_terminal_acts_upon_them() -> None:
    data = bytes(range(256)) + "\u202e\u0085\U0001f4c8ü".encode()
    assert printable(data).isprintable()
    assert printable("Müller 📈".encode()) == "Müller 📈"
    assert time_text(2**62) == f"{2**62} ms"


def test_a_replayed_letter_keeps_its_headers_but_what_was_mended() -> None:
    headers = (("a", b"1"), ("schema_version", b"9"), ("a", None), ("tickhouse_origin", b"nowhere"))
    letter = Letter("bars", Place("now", 0, 7), BEGUN_MS, None, headers, None, "version", "why")
    origin = ("tickhouse_origin", f"now/0/7/{BEGUN_MS}".encode())
    assert resent_headers(letter, ()) == [*headers[:3], origin]
    assert resent_headers(letter, [("schema_version", b"1")]) == [("a", b"1"), ("a", None), ("schema_version", b"1"), origin]


@pytest.mark.parametrize("text", ["schema_version", "=1", "tickhouse_origin=now/0/7/1"])
def test_a_header_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"--header {text}"):
        parse_header(text)


def test_what_to_replay_must_be_said_one_way() -> None:
    for places, search, is_all in [((), Search(), False), (("0/1",), Search(), True), (("0/1",), Search(stage="json"), False)]:
        with pytest.raises(ValueError, match="--all"):
            parse_wish(places, search, is_all=is_all, is_again=False)
    wish = parse_wish((), Search(stage="json"), is_all=False, is_again=False)
    assert wish.search == Search(stage="json", fate="waiting")


def test_a_value_mends_one_letter(tmp_path: Path) -> None:
    file = tmp_path / "bar"
    file.write_bytes(b"\x00")
    assert parse_mending(file, ["a=b=c"], ["0/1"]) == Mending(b"\x00", (("a", b"b=c"),))
    for places in ((), ("0/1", "0/2")):
        with pytest.raises(ValueError, match="one letter"):
            parse_mending(file, [], places)
