from __future__ import annotations

from pathlib import Path

import pytest
from letters import BEGUN_MS, Said, again, good, land, poison

from ingestion.chain.compaction import ArchiveSize, compact
from ingestion.dlq.book import LetterBook, LetterMissingError, Search
from ingestion.dlq.letter import Letter, Place
from ingestion.dlq.tries import Try
from tickhouse.storage.local import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def places(book: LetterBook, search: Search | None = None) -> list[str]:
    """Where the wanted letters stand; counting them and walking them in order must agree."""
    wanted = search or Search()
    newest = [letter.place.text(book.present) for letter in book.newest(wanted)]
    in_order = [letter.place.text(book.present) for letter in book.in_order(wanted)]
    assert sorted(newest) == sorted(in_order)
    assert book.count(wanted).total() == len(newest)
    return newest


def test_letters_are_listed_newest_first_over_all_partitions(storage: LocalStorage) -> None:
    land(storage, [poison(0, 10), good(1, 20), poison(2, 30)])
    land(storage, [poison(3, 60)])
    land(storage, [poison(4, 20), poison(5, 50)], partition=1)
    book = LetterBook(storage, "bars")
    assert places(book) == ["0/3", "1/1", "0/2", "1/0", "0/0"]
    assert (book.landed.rows, book.landed.dead_letters) == (1, 5)
    assert places(LetterBook(storage, "other")) == []


def test_a_letter_is_read_byte_for_byte(storage: LocalStorage) -> None:
    headers = (("schema_version", b"9"), ("trace", None), ("trace", b"\xff\x00"))
    land(storage, [Said(b"\x00\xff", 5, b"\xfe", headers), Said(None, 6, None, ())])
    book = LetterBook(storage, "bars")
    letter = book.read(Place("now", 0, 0))
    assert (letter.key, letter.value, letter.headers, letter.timestamp) == (b"\xfe", b"\x00\xff", headers, BEGUN_MS + 5)
    assert (letter.topic, letter.stage) == ("bars", "version")
    assert "9" in letter.reason
    empty = book.read(book.place("0/1"))
    assert (empty.key, empty.value, empty.headers) == (None, None, ())


def test_letters_are_found_by_stage_partition_and_time(storage: LocalStorage) -> None:
    other = Said(b"{}", 20)
    land(storage, [poison(0, 10), other, poison(2, 30)])
    land(storage, [poison(3, 40)], partition=1)
    book = LetterBook(storage, "bars")
    assert places(book, Search(stage="fields")) == ["0/1"]
    assert places(book, Search(stage="json")) == ["1/0", "0/2", "0/0"]
    assert places(book, Search(partition=1)) == ["1/0"]
    assert places(book, Search(since=BEGUN_MS + 20)) == ["1/0", "0/2", "0/1"]
    assert places(book, Search(stage="json", partition=0, since=BEGUN_MS + 11)) == ["0/2"]
    assert book.count(Search()) == {("json", "waiting"): 3, ("fields", "waiting"): 1}


def test_a_letter_that_was_replayed_and_is_a_bar_has_landed(storage: LocalStorage) -> None:
    land(storage, [poison(0), poison(1)])
    land(storage, [good(0), again(good(1), "now", 0, 1)])
    book = LetterBook(storage, "bars")
    assert places(book, Search(fate="waiting")) == ["0/0"]
    assert places(book, Search(fate="landed")) == ["0/1"]
    assert book.tries(book.read(Place("now", 0, 1))) == [Try(Place("now", 0, 3), is_bar=True)]
    assert book.tries(book.read(Place("now", 0, 0))) == []


def test_a_replay_that_fails_again_is_a_try_and_no_new_letter(storage: LocalStorage) -> None:
    land(storage, [poison(0)])
    land(storage, [again(poison(0), "now", 0, 0)])
    land(storage, [again(poison(0), "now", 0, 0), poison(9)])
    book = LetterBook(storage, "bars")
    assert places(book) in (["0/3", "0/0"], ["0/0", "0/3"])
    tries = [Place("now", 0, 1), Place("now", 0, 2)]
    assert [each.place for each in book.tries(book.read(Place("now", 0, 0)))] == tries
    assert {book.first(book.read(place)) for place in tries} == {Place("now", 0, 0)}
    land(storage, [again(good(0), "now", 0, 0)])
    assert places(LetterBook(storage, "bars"), Search(fate="landed")) == ["0/0"]


def test_letters_of_an_earlier_topic_go_by_its_id(storage: LocalStorage) -> None:
    land(storage, [poison(0)], topic_id="before", age_days=9)
    land(storage, [good(1), again(poison(0), "before", 0, 0)], topic_id="now")
    book = LetterBook(storage, "bars")
    assert places(book) == ["before/0/0"]
    letter = book.read(book.place("before/0/0"))
    assert [each.place.text(book.present) for each in book.tries(letter)] == ["0/1"]
    assert book.first(book.read(book.place("0/1"))) == letter.place


@pytest.mark.parametrize("claim", [("now", 0, 7), ("now", 5, 0), ("gone", 0, 0), ("now", 0, 1)], ids=str)
def test_no_header_makes_a_letter_vanish(storage: LocalStorage, claim: tuple[str, int, int]) -> None:
    """It claims a place where no dead letter is, which may be a bar's, or its own."""
    land(storage, [good(0), again(poison(1), *claim)])
    book = LetterBook(storage, "bars")
    assert places(book) == ["0/1"]
    assert book.first(book.read(Place("now", 0, 1))) == Place("now", 0, 1)


def test_letters_that_claim_each_other_are_both_there(storage: LocalStorage) -> None:
    land(storage, [again(poison(0), "now", 1, 0)])
    land(storage, [again(poison(1), "now", 0, 0)], partition=1)
    assert len(places(LetterBook(storage, "bars"))) == 2


def test_a_letter_with_a_broken_origin_is_one_of_its_own(storage: LocalStorage) -> None:
    land(storage, [Said(b"poison", headers=[("tickhouse_origin", b"nowhere")])])
    book = LetterBook(storage, "bars")
    assert book.count(Search()) == {("origin", "waiting"): 1}


def test_letters_of_compacted_slots_and_their_replays_are_still_told(storage: LocalStorage) -> None:
    land(storage, [poison(0), good(1)])
    land(storage, [again(good(0), "now", 0, 0), poison(5)])
    land(storage, [good(7)])
    before = LetterBook(storage, "bars")
    assert compact(storage, ArchiveSize(is_partial=True))
    after = LetterBook(storage, "bars")
    for fate in ("waiting", "landed"):
        assert places(after, Search(fate=fate)) == places(before, Search(fate=fate)) != []


@pytest.mark.parametrize("text", ["", "0", "0/", "/1", "a/b", "0/1/2/3", "0/-1", "0/1 ", "x y/0/1", "٠/1"])
def test_what_is_no_place_is_told_so(storage: LocalStorage, text: str) -> None:
    with pytest.raises(ValueError, match="PARTITION/OFFSET"):
        LetterBook(storage, "bars").place(text)


def test_a_place_without_a_letter_is_told(storage: LocalStorage) -> None:
    land(storage, [good(0), poison(1)])
    book = LetterBook(storage, "bars")
    for text in ("0/0", "0/2", "1/0", "gone/0/1"):
        with pytest.raises(LetterMissingError, match=f"no dead letter at {text}"):
            book.read(book.place(text))


def test_a_letter_says_the_origin_it_is_sent_again_with(storage: LocalStorage) -> None:
    letter = Letter("bars", Place("now", 2, 34), 56, None, (), None, "json", "why")
    assert letter.origin.encode() == b"now/2/34/56"
