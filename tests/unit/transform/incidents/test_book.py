"""Whatever fails, flaps and dies: each incident is told once to each channel, and once when it is over, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from memory_storage import Killed, MemoryStorage, MortalStorage
from receiver import Receiver

from tickhouse.settings import DeliverySettings
from tickhouse.storage.local import LocalStorage
from transform.alerts.channel import ChannelError
from transform.alerts.message import Message
from transform.incidents.book import AREA, Book
from transform.incidents.incident import Observation, Trouble
from transform.incidents.state import REMEMBERED, State, observe
from transform.incidents.telling import HELD_SECONDS, TOLD_AT_ONCE, Told, tell

START = datetime(2026, 1, 1, tzinfo=UTC)
CALM = timedelta(seconds=60)
CHANNELS = ("desk", "ops")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def trouble(title: str = "tickhouse: the job build failed") -> Trouble:
    return Trouble(title=title, text="why", severity="high", link="http://127.0.0.1:3000/runs/1", advice="look")


def bad(key: str, seconds: float) -> Observation:
    return Observation(key=key, at=at(seconds), trouble=trouble(key))


def well(key: str, seconds: float) -> Observation:
    return Observation(key=key, at=at(seconds), trouble=None)


def look(book: Book, seen: Sequence[Observation], seconds: float, channels: Sequence[str] = CHANNELS) -> State:
    return book.change(lambda state: observe(state, seen, channels, CALM, at(seconds)))


def say(book: Book, receiver: Receiver, seconds: float, channel: str = "desk") -> Told:
    return tell(book, channel, lambda: receiver, DeliverySettings(), lambda: at(seconds))


def expected(seen: Sequence[Observation], end: datetime) -> list[tuple[str, datetime, datetime | None]]:
    """The incidents of one key after another, each with its begin and its end, told from all that was seen at once."""
    found = []
    for key in sorted({each.key for each in seen}):
        begun = calm = None
        for when, is_bad in [*((each.at, each.trouble is not None) for each in seen if each.key == key), (end, None)]:
            if begun is not None and calm is not None and when - calm >= CALM:
                found.append((key, begun, calm))
                begun = calm = None
            if is_bad:
                begun, calm = begun or when, None
            elif begun is not None:
                calm = calm or when
        if begun is not None:
            found.append((key, begun, None))
    return found


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(MemoryStorage(tmp_path))


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([1, 20, 45, 90]), st.dictionaries(st.sampled_from(["run:build", "lag:x"]), st.booleans())),
        min_size=1,
        max_size=15,
    ),
    scripts=st.tuples(*[st.lists(st.sampled_from(["ok", "refuse", "lose", "kill"]), max_size=8)] * 2),
    deaths=st.dictionaries(st.integers(1, 60), st.sampled_from(["before", "after"]), max_size=6),
)
def test_whatever_fails_each_incident_is_told_and_so_is_its_end_and_only_a_kill_repeats_one(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, dict[str, bool]]],
    scripts: tuple[list[str], list[str]],
    deaths: dict[int, str],
) -> None:
    storage = MortalStorage(tmp_path_factory.getbasetemp())
    storage.deaths = deaths
    receivers = {name: Receiver(list(script)) for name, script in zip(CHANNELS, scripts, strict=True)}
    unread: list[Observation] = []
    everything: list[Observation] = []
    now, doubts = 0.0, sum(script.count(what) for script in scripts for what in ("lose", "kill"))
    for passed, conditions in steps:
        now += passed
        unread += [(bad if is_bad else well)(key, now) for key, is_bad in conditions.items()]
        everything += unread[len(unread) - len(conditions) :]
        try:
            look(Book(storage), unread, now)
            unread.clear()  # a killed look leaves its cursor, and the next reads the same again
            for name, receiver in receivers.items():
                say(Book(storage), receiver, now, name)
        except Killed:
            doubts += 1
    deaths.clear()
    for receiver in receivers.values():
        receiver.script.clear()
    for _ in range(8):
        now += 1_000
        state = look(Book(storage), unread, now)
        for name, receiver in receivers.items():
            say(Book(storage), receiver, now, name)
    wanted = expected(everything, at(now))
    turns = len(wanted) + sum(over is not None for _key, _begun, over in wanted)
    for receiver in receivers.values():
        first = list(dict.fromkeys(receiver.keys))
        assert len(first) == turns, "none is lost, none is made up"
        assert all(each.endswith("/began") or first.index(each.replace("recovered", "began")) < i for i, each in enumerate(first))
        repeated = len(receiver.taken) - len({message.keys[0] for message in receiver.taken})
        assert repeated <= doubts
        if not doubts:
            assert receiver.keys == first
    state = Book(storage).read()
    assert [(each.key, each.began_at) for each in sorted(state.incidents, key=lambda each: each.key)] == [
        (key, begun) for key, begun, over in wanted if over is None
    ], "what is over and told is forgotten"
    assert len(list(storage.list_after(AREA))) <= 2


def test_what_persists_or_flaps_is_told_once_and_its_end_once_it_stays_well(book: Book) -> None:
    receiver = Receiver()
    for seconds in range(0, 300, 30):
        look(book, [bad("run:build", seconds), well("run:build", seconds + 5)], seconds + 6)
        say(book, receiver, seconds + 6)
    assert receiver.keys == ["incident-1/began"]
    look(book, [], 400)
    say(book, receiver, 400)
    assert receiver.keys == ["incident-1/began", "incident-1/recovered"]
    assert receiver.taken[1].title == "Recovered: run:build"
    assert "from 2026-01-01 00:00:00 UTC to 2026-01-01 00:04:35 UTC, 0:04:35." in receiver.taken[1].body
    look(book, [bad("run:build", 500)], 500)
    say(book, receiver, 500)
    assert receiver.keys[2:] == ["incident-2/began"], "another failure is another incident"


def test_events_that_are_read_again_open_nothing(book: Book) -> None:
    story = [bad("run:build", 0), well("run:build", 10), bad("run:build", 100), well("run:build", 110)]
    look(book, story, 500)
    after = look(book, [], 500)
    assert look(book, story, 501) == after
    assert look(book, story[:1], 502) == after
    assert after.next_number == 3


def test_a_restarted_process_and_two_at_once_tell_nothing_twice(tmp_path: Path) -> None:
    storage, receiver = LocalStorage(tmp_path), Receiver()
    one, other = Book(storage), Book(storage)
    look(one, [bad("run:build", 0)], 1)
    look(other, [bad("run:build", 0)], 1)

    class Slow(Receiver):
        def send(self, message: Message) -> bool:
            assert say(other, receiver, 2) == Told("desk"), "while one sends, no other does"
            return super().send(message)

    slow = Slow()
    assert say(one, slow, 2).turns == 1
    assert say(Book(storage), receiver, 3).turns == 0
    assert (len(slow.taken), receiver.taken) == (1, [])


def test_killed_between_sending_and_noting_it_sends_the_same_reference_again_and_nothing_else(book: Book) -> None:
    receiver = Receiver(["kill"])
    look(book, [bad("run:build", 0)], 1)
    with pytest.raises(Killed):
        say(book, receiver, 1)
    assert say(book, receiver, 2).turns == 0, "it may be sending still"
    assert say(book, receiver, 2 + HELD_SECONDS).turns == 1
    assert say(book, receiver, 3 + HELD_SECONDS).turns == 0
    assert receiver.keys == ["incident-1/began"] * 2


def test_a_channel_that_is_out_is_tried_again_later_and_later_and_keeps_no_other(book: Book) -> None:
    down, up = Receiver(["refuse"] * 8), Receiver()
    look(book, [bad("run:build", 0)], 0)
    tries = []
    for second in range(2_000):
        before = len(down.script)
        say(book, down, second)
        if len(down.script) < before:
            tries.append(second)
        say(book, up, second, "ops")
    assert [later - earlier for earlier, later in pairwise(tries)] == [10, 20, 40, 80, 160, 300, 300]
    assert down.keys == up.keys == ["incident-1/began"]


def test_an_incident_that_is_over_before_a_channel_is_back_is_told_whole(book: Book) -> None:
    receiver = Receiver(["refuse"])
    look(book, [bad("run:build", 0)], 0)
    assert say(book, receiver, 0).trouble == "it did not take the message"
    look(book, [well("run:build", 10)], 100)
    say(book, receiver, 100)
    [message] = receiver.taken
    assert message.title == "tickhouse: 2 incidents: 1 began, 1 recovered"
    assert message.keys == ("incident-1/began", "incident-1/recovered")
    assert message.body.index("Reference: incident-1/began") < message.body.index("Recovered: run:build")


def test_a_channel_that_is_new_hears_of_what_is_open_and_one_that_is_gone_is_owed_nothing(book: Book) -> None:
    look(book, [bad("a", 0), bad("b", 1)], 2, ["gone"])
    look(book, [well("a", 3)], 100, ["gone"])
    state = look(book, [], 101, ["desk"])
    assert [(incident.key, turn) for incident, turn in state.owed_to("desk")] == [("b", "began")]
    assert state.owed_to("gone") == []
    assert [each.key for each in state.incidents] == ["b"]


def test_many_are_told_in_several_messages_and_none_is_left_out(book: Book) -> None:
    receiver, keys = Receiver(), [f"lag:landing/{number}" for number in range(2 * TOLD_AT_ONCE + 1)]
    look(book, [bad(key, 0) for key in keys], 1)
    assert [say(book, receiver, 1).turns for _ in range(4)] == [TOLD_AT_ONCE, TOLD_AT_ONCE, 1, 0]
    assert len(set(receiver.keys)) == len(keys)


def test_a_missing_address_waits_as_an_outage_does_and_says_why(book: Book) -> None:
    def missing() -> Receiver:
        raise ChannelError("channel desk: put its address into the environment variable DESK_URL")

    look(book, [bad("run:build", 0)], 0)
    assert "DESK_URL" in (tell(book, "desk", missing, DeliverySettings(), lambda: at(0)).trouble or "")
    assert [incident.key for incident, _ in book.read().owed_to("desk")] == ["run:build"]


def test_what_changes_nothing_is_not_written_and_what_is_long_over_is_forgotten(tmp_path: Path) -> None:
    storage = MemoryStorage(tmp_path)
    book = Book(storage)
    look(book, [well("run:build", 0)], 0)
    assert storage.objects == {}
    look(book, [bad("a", 0), well("a", 1)], 100, [])
    written = dict(storage.objects)
    look(book, [well("a", 200)], 200, [])
    assert storage.objects == written
    late = REMEMBERED.total_seconds() + 200
    assert set(look(book, [bad("b", late)], late, []).over) == set()


def test_a_sleeper_that_wakes_up_after_others_went_on_changes_what_they_made(tmp_path: Path) -> None:
    storage = MemoryStorage(tmp_path)
    sleeper, others = Book(storage), Book(storage)
    look(others, [bad("a", 0)], 0)
    naps = iter([None])

    def slowly(state: State) -> State:
        for _nap in naps:
            for number in range(3):
                look(others, [bad(f"b{number}", 1)], 1)
        return observe(state, [bad("c", 2)], CHANNELS, CALM, at(2))

    sleeper.change(slowly)
    assert sorted(each.key for each in others.read().open) == ["a", "b0", "b1", "b2", "c"]
    assert len(list(storage.list_after(AREA))) == 1
