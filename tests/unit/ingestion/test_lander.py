from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ingesting import bar_message

from ingestion.batch import Limits
from ingestion.chain.put import ChainEnd, begin_chain, find_end
from ingestion.chain.slot import Chain
from ingestion.chain.walk import read_rows, walk
from ingestion.dead_letter import DEAD_LETTER_SCHEMA, read_dead_letters
from ingestion.lander import PartitionLander
from ingestion.origin import ORIGIN_HEADER, Origin, read_origin
from tickhouse.bar import ORIGIN_SCHEMA
from tickhouse.storage.local import LocalStorage

CHAIN = Chain("bars", "incarnation", 0)
LIMITS = Limits(rows=1000, bytes=1_000_000, seconds=1.0)
VERSION = [("schema_version", b"1")]


class Unreliable(LocalStorage):
    """Does as `before` and `after` a put of a slot say: they may raise, or let another writer go first."""

    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None

    def put_if_absent(self, key: str, data: bytes) -> bool:
        before, after = self.before, self.after
        if key.startswith("landing/") and before is not None:
            self.before = None
            before()
        stored = super().put_if_absent(key, data)
        if key.startswith("landing/") and after is not None:
            self.after = None
            after()
        return stored


def fail() -> None:
    raise OSError("no answer")


@pytest.fixture
def storage(tmp_path: Path) -> Unreliable:
    storage = Unreliable(tmp_path)
    begin_chain(storage, CHAIN, 0, datetime(2026, 1, 1, tzinfo=UTC))
    return storage


def lander(storage: LocalStorage, writer: str = "one", hint: int | None = None) -> PartitionLander:
    end = find_end(storage, CHAIN, hint)
    assert end is not None
    return PartitionLander(storage, CHAIN, end, LIMITS, writer)


def feed(lander: PartitionLander, *offsets: int) -> None:
    """Messages at these offsets; every seventh is poison."""
    for offset in offsets:
        value = b"poison %d" % offset if offset % 7 == 6 else bar_message(offset)
        lander.batch.append(offset, 1_000 + offset, b"AAPL", value, VERSION, 0.0)


def footers(storage: LocalStorage) -> list[Any]:
    return [slot.footer for slot in walk(storage, CHAIN)]


def landed(storage: LocalStorage) -> list[int]:
    """The offsets of all bars and dead letters, in the chain's order."""
    offsets = []
    for slot in walk(storage, CHAIN):
        own = [*read_rows(storage, slot)["offset"].to_pylist(), *read_dead_letters(storage, slot.footer)["offset"].to_pylist()]
        assert len(own) == slot.footer.rows + slot.footer.dead_letters
        assert all(slot.footer.position <= offset < slot.footer.next_offset for offset in own)
        offsets += sorted(own)
    return offsets


def test_a_slot_holds_the_bars_with_where_they_came_from(storage: Unreliable) -> None:
    mine = lander(storage)
    feed(mine, 0, 1, 4)
    mine.land()
    (slot,) = walk(storage, CHAIN)
    found = read_rows(storage, slot).to_pylist()
    assert [row["open"] for row in found] == [0.25, 1.25, 4.25]
    assert [row["offset"] for row in found] == [0, 1, 4]
    assert found[2]["kafka_timestamp"] == datetime.fromtimestamp(1.004, UTC)
    assert {(row["topic"], row["topic_id"], row["partition"]) for row in found} == {("bars", "incarnation", 0)}
    footer = slot.footer
    assert (footer.position, footer.next_offset, footer.rows, footer.dead_letters, footer.dead_letter_key) == (0, 5, 3, 0, None)
    assert (footer.first_ts, footer.last_ts) == ("2000-03-01T00:00:00+00:00", "2000-03-01T00:04:00+00:00")
    assert (footer.event_months, footer.writer, footer.schema_version) == (("2000-03",), "one", 1)


def test_the_footer_names_every_month_it_touches(storage: Unreliable) -> None:
    mine = lander(storage)
    for offset, day in enumerate(["2008-12-31", "1962-01-02", "2009-01-01", "1962-01-03"]):
        mine.batch.append(offset, 0, None, bar_message(0, ts=f"{day}T00:00:00Z"), None, 0.0)
    mine.land()
    (footer,) = footers(storage)
    assert footer.event_months == ("1962-01", "2008-12", "2009-01")
    assert footer.first_ts == "1962-01-02T00:00:00+00:00"


def test_what_is_no_bar_becomes_a_dead_letter_byte_for_byte(storage: Unreliable) -> None:
    mine = lander(storage)
    feed(mine, 0)
    odd = [("schema_version", b"9"), ("trace", None), ("trace", b"\xff\x00")]
    mine.batch.append(1, 1_001, b"\xfe\x00", bar_message(1), odd, 0.0)
    mine.batch.append(2, 1_002, None, None, None, 0.0)
    mine.batch.append(3, 1_003, b"k", b"\x00\xff{", VERSION, 0.0)
    mine.land()
    (footer,) = footers(storage)
    assert (footer.rows, footer.dead_letters) == (1, 3)
    assert footer.dead_letter_key is not None
    assert footer.dead_letter_key.startswith("dead_letter/topic=bars/id=incarnation/partition=0/00000000000000000000-")
    letters = read_dead_letters(storage, footer)
    assert letters.schema.equals(DEAD_LETTER_SCHEMA)
    first, second, third = letters.to_pylist()
    assert (first["key"], first["value"], first["stage"]) == (b"\xfe\x00", bar_message(1), "version")
    assert [(one["name"], one["value"]) for one in first["headers"]] == odd
    assert (second["key"], second["value"], second["headers"], second["stage"]) == (None, None, [], "json")
    assert (third["value"], third["offset"], third["partition"]) == (b"\x00\xff{", 3, 0)
    assert third["kafka_timestamp"] == datetime.fromtimestamp(1.003, UTC)
    assert third["reason"]


def test_a_slot_may_hold_dead_letters_only_or_nothing_but_offsets(storage: Unreliable) -> None:
    mine = lander(storage)
    feed(mine, 6)
    mine.land()
    mine.batch.pass_over(9, 0.0)
    mine.land()
    first, second = footers(storage)
    assert (first.rows, first.dead_letters, first.next_offset) == (0, 1, 7)
    assert (second.rows, second.dead_letters, second.position, second.next_offset) == (0, 0, 7, 9)
    assert (second.first_ts, second.last_ts, second.event_months) == (None, None, ())


def test_nothing_buffered_is_nothing_landed(storage: Unreliable) -> None:
    lander(storage).land()
    assert footers(storage) == []


def test_who_finds_its_place_taken_goes_on_from_the_winners_end(storage: Unreliable) -> None:
    one, two = lander(storage, "one"), lander(storage, "two")
    feed(one, 0, 1, 2)
    feed(two, 0, 1, 2, 3, 6)
    one.land()
    two.land()
    assert [(footer.writer, footer.position, footer.next_offset) for footer in footers(storage)] == [("one", 0, 3), ("two", 3, 7)]
    assert landed(storage) == [0, 1, 2, 3, 6]
    assert two.end == ChainEnd(7, 3)


def test_who_comes_late_repeats_nothing_and_takes_up_the_end(storage: Unreliable) -> None:
    one, two = lander(storage, "one"), lander(storage, "two")
    feed(two, 0, 1)
    for offset in range(6):
        feed(one, offset)
        one.land()
    two.land()
    assert two.end == ChainEnd(6, 5)
    feed(two, 2, 3, 4, 5, 7)
    two.land()
    assert landed(storage) == [0, 1, 2, 3, 4, 5, 7]


def test_dead_letters_of_a_lost_place_do_not_count(storage: Unreliable) -> None:
    one, two = lander(storage, "one"), lander(storage, "two")
    feed(one, 6)
    feed(two, 6, 7)
    one.land()
    two.land()
    assert len(list(storage.list_after(f"dead_letter/{CHAIN.path}"))) == 2
    assert landed(storage) == [6, 7]


def test_a_put_whose_answer_was_lost_counts_once(storage: Unreliable) -> None:
    """The slot is there, the writer does not know; meanwhile it has buffered more."""
    mine = lander(storage)
    feed(mine, 0, 1)
    storage.after = fail
    with pytest.raises(OSError, match="no answer"):
        mine.land()
    assert len(mine.batch.messages) == 2
    feed(mine, 2, 6)
    mine.land()
    assert landed(storage) == [0, 1, 2, 6]
    assert [(footer.position, footer.next_offset) for footer in footers(storage)] == [(0, 2), (2, 7)]


def test_a_put_that_failed_is_put_again(storage: Unreliable) -> None:
    mine = lander(storage)
    feed(mine, 0, 6)
    storage.before = fail
    with pytest.raises(OSError, match="no answer"):
        mine.land()
    assert footers(storage) == []
    mine.land()
    assert landed(storage) == [0, 6]


def test_one_who_wins_between_a_look_and_a_put_is_not_overwritten(storage: Unreliable) -> None:
    one, two = lander(storage, "one"), lander(storage, "two")
    feed(one, 0, 1, 2)
    feed(two, 0)
    storage.before = two.land
    one.land()
    assert [(footer.writer, footer.position, footer.next_offset) for footer in footers(storage)] == [("two", 0, 1), ("one", 1, 3)]
    assert landed(storage) == [0, 1, 2]


STEPS = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["read", "read", "read", "land", "land", "lost answer", "failed put", "restart", "raced"]),
    st.integers(1, 4),
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(holes=st.sets(st.integers(0, 29), max_size=10), steps=st.lists(STEPS, max_size=40))
def test_any_landers_in_any_order_with_any_failures_land_each_message_once(
    holes: set[int], steps: list[tuple[int, str, int]]
) -> None:
    offsets = [offset for offset in range(30) if offset not in holes]
    with TemporaryDirectory() as folder:
        storage = Unreliable(Path(folder))
        begin_chain(storage, CHAIN, 0, datetime(2026, 1, 1, tzinfo=UTC))
        landers = [lander(storage, str(number)) for number in range(3)]

        def read(which: int, count: int) -> None:
            batch = landers[which].batch
            ahead = [offset for offset in offsets if offset >= batch.next_offset]
            feed(landers[which], *ahead[:count])
            if len(ahead) <= count:
                batch.pass_over(30, 0.0)

        def land(which: int) -> None:
            with suppress(OSError):
                landers[which].land()

        for which, step, count in steps:
            if step == "read":
                read(which, count)
            elif step == "restart":
                landers[which] = lander(storage, f"{which}'", hint=count * 5)
            else:
                racing = partial(land, (which + 1) % 3)
                storage.before = {"failed put": fail, "raced": racing}.get(step)
                storage.after = {"lost answer": fail}.get(step)
                land(which)
                storage.before = storage.after = None
        read(0, 100)
        landers[0].land()
        assert landed(storage) == offsets
        assert find_end(storage, CHAIN) == landers[0].end
        assert landers[0].end.next_offset == 30


ORIGIN = Origin("an-earlier-incarnation", 3, 77, 500)


def append_replayed(lander: PartitionLander, offset: int, value: bytes, origin: bytes) -> None:
    lander.batch.append(offset, 1_000 + offset, b"AAPL", value, [*VERSION, (ORIGIN_HEADER, origin)], 0.0)


def test_a_replayed_message_lands_with_its_own_place_and_its_first(storage: Unreliable) -> None:
    mine = lander(storage)
    feed(mine, 0, 1)
    append_replayed(mine, 2, bar_message(2), ORIGIN.encode())
    mine.land()
    (slot,) = walk(storage, CHAIN)
    assert (slot.footer.rows, slot.footer.dead_letters, slot.footer.replayed) == (3, 0, 1)
    *others, replayed = read_rows(storage, slot).to_pylist()
    assert replayed["offset"] == 2
    names = ORIGIN_SCHEMA.names
    assert [replayed[name] for name in names] == ["an-earlier-incarnation", 3, 77, datetime.fromtimestamp(0.5, UTC)]
    assert {row[name] for row in others for name in names} == {None}


def test_a_replayed_message_that_is_still_no_bar_is_a_dead_letter_again_with_its_origin(storage: Unreliable) -> None:
    mine = lander(storage)
    append_replayed(mine, 0, b"poison", ORIGIN.encode())
    mine.land()
    (footer,) = footers(storage)
    assert (footer.rows, footer.dead_letters, footer.replayed) == (0, 1, 1)
    (letter,) = read_dead_letters(storage, footer).to_pylist()
    assert (letter["stage"], letter["offset"]) == ("json", 0)
    assert read_origin((header["name"], header["value"]) for header in letter["headers"]) == ORIGIN


def test_a_message_with_an_origin_that_is_none_is_a_dead_letter(storage: Unreliable) -> None:
    mine = lander(storage)
    feed(mine, 0)
    append_replayed(mine, 1, bar_message(1), b"somewhere")
    mine.land()
    (footer,) = footers(storage)
    assert (footer.rows, footer.dead_letters, footer.replayed) == (1, 1, 0)
    (letter,) = read_dead_letters(storage, footer).to_pylist()
    assert (letter["stage"], letter["value"]) == ("origin", bar_message(1))
    assert "somewhere" in letter["reason"]
