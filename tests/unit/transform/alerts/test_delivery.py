"""Delivery at least once: whatever fails and whoever is killed, every channel gets what it wants, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from memory_storage import Killed, MemoryStorage, MortalStorage
from receiver import Receiver

from tickhouse.settings import ChannelSettings, DeliverySettings
from transform.alerts import delivery as delivery_module
from transform.alerts.channel import Channel, ChannelError, open_channels
from transform.alerts.delivery import ChannelDelivery, ChannelDown, deliver_all, keep_delivering
from transform.alerts.event import AlertEvent
from transform.alerts.message import LISTED, message_of
from transform.alerts.outbox import AREA, Outbox

NOW = datetime.now(UTC)


def entry(seq: int, **fields: Any) -> AlertEvent:
    base = AlertEvent(
        event_seq=seq,
        alert_id=f"alert-{seq}",
        revision=1,
        event="raised",
        symbol="A",
        interval="1d",
        ts=datetime(2020, 1, 2, tzinfo=UTC),
        rule="price_change",
        severity="medium",
        value=6.5,
        threshold=5.0,
        is_told=True,
        snapshot=0,
        recorded_at=NOW,
    )
    return replace(base, **fields)


@dataclass
class ListLedger:
    """A ledger that grows."""

    entries: list[AlertEvent] = field(default_factory=list)

    def newest_seq(self) -> int:
        return len(self.entries)

    def first_seq_since(self, moment: datetime) -> int | None:
        return next((each.event_seq for each in self.entries if each.recorded_at >= moment), None)

    def told_after(self, event_seq: int, limit: int) -> list[AlertEvent]:
        return [each for each in self.entries if each.event_seq > event_seq and each.is_told][:limit]

    @contextmanager
    def open(self) -> Iterator[ListLedger]:
        yield self


def channel(receiver: Receiver, **chosen: Any) -> Channel:
    return Channel(ChannelSettings(name="desk", url_variable="DESK_URL", **chosen), receiver)


def delivery_to(
    receiver: Receiver, ledger: ListLedger, storage: MemoryStorage, chosen: DeliverySettings | None = None, **wanted: Any
) -> ChannelDelivery:
    return ChannelDelivery(storage, channel(receiver, **wanted), chosen or DeliverySettings(), ledger.open)


def drain(delivery: ChannelDelivery) -> None:
    for _ in range(200):
        if not delivery.step():
            return
    raise AssertionError("it never ends")


@pytest.fixture
def storage(tmp_path: Path) -> MemoryStorage:
    return MemoryStorage(tmp_path)


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    batches=st.lists(st.lists(st.sampled_from(["told", "history", "low"]), max_size=8), min_size=1, max_size=5),
    script=st.lists(st.sampled_from(["ok", "refuse", "lose", "kill"]), max_size=12),
    deaths=st.dictionaries(st.integers(1, 40), st.sampled_from(["before", "after"]), max_size=6),
    digest_from=st.integers(1, 6),
)
def test_whatever_fails_every_entry_arrives_in_order_and_only_a_failure_repeats_one(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[str]],
    script: list[str],
    deaths: dict[int, str],
    digest_from: int,
) -> None:
    storage = MortalStorage(tmp_path_factory.getbasetemp())
    storage.deaths = deaths
    receiver, ledger = Receiver(list(script)), ListLedger()
    chosen = DeliverySettings(digest_from=digest_from)

    def started() -> ChannelDelivery:
        return delivery_to(receiver, ledger, storage, chosen, min_severity="medium")

    delivery, troubles = started(), 0
    for batch in [*batches, []]:
        for kind in batch:
            grave = "low" if kind == "low" else "high"
            ledger.entries.append(entry(len(ledger.entries) + 1, is_told=kind != "history", severity=grave))
        for _ in range(60):
            try:
                drain(delivery)
                break
            except ChannelDown:
                troubles += 1
            except Killed:
                troubles += 1
                delivery = started()
    deaths.clear()
    receiver.script.clear()
    ledger.entries.append(entry(len(ledger.entries) + 1, severity="high"))
    drain(started())
    wanted = [each.key for each in ledger.entries if each.is_told and each.severity == "high"]
    assert list(dict.fromkeys(receiver.keys)) == wanted, "each arrives, and for the first time in the ledger's order"
    repeated = [message for number, message in enumerate(receiver.taken) if message in receiver.taken[:number]]
    assert len(repeated) <= troubles
    assert len(receiver.keys) == len(wanted) + sum(len(message.keys) for message in repeated), "what repeats is the same message"
    assert len(list(storage.list_after(f"{AREA}/desk"))) <= 3, "what a kill left lying goes with the next message"


def test_few_are_told_one_by_one_and_many_in_one_digest(storage: MemoryStorage) -> None:
    receiver, ledger = Receiver(), ListLedger([entry(seq) for seq in range(1, 5)])
    drain(delivery_to(receiver, ledger, storage))
    assert [len(message.keys) for message in receiver.taken] == [1, 1, 1, 1]
    ledger.entries += [entry(seq, severity="high" if seq == 30 else "low") for seq in range(5, 5 + 40)]
    drain(delivery_to(receiver, ledger, storage))
    digest = receiver.taken[-1]
    assert (len(receiver.taken), len(digest.keys), digest.severity) == (5, 40, "high")
    assert digest.title == "40 alerts: 1 high, 39 low"
    lines = digest.body.splitlines()
    assert lines[0].startswith("A 1d 2020-01-02: price_change, high: 6.5 against 5 [alert-30/1]")
    assert lines[LISTED].startswith("and 20 more: ")
    assert lines[-1] == "Reference: entries 5 to 44 of alert_event"


def test_a_message_says_what_became_of_the_alert_and_carries_its_key() -> None:
    raised = message_of([entry(1)])
    assert raised.title == "A 1d 2020-01-02: price_change, medium"
    assert raised.body == "The rule price_change measured 6.5 against 5.\nReference: alert-1/1"
    withdrawn = message_of([entry(2, event="withdrawn", revision=2, alert_id="alert-1", interval="1h")])
    assert withdrawn.title == "A 1h 2020-01-02 00:00 UTC: price_change, medium, withdrawn"
    assert "no longer holds" in withdrawn.body
    assert withdrawn.body.endswith("Reference: alert-1/2")
    assert "has changed: now" in message_of([entry(3, event="changed")]).body


def test_a_channel_gets_what_it_wants_and_nothing_else(storage: MemoryStorage) -> None:
    entries = [
        entry(1, severity="low"),
        entry(2, symbol="B", severity="high"),
        entry(3, rule="rsi_oversold", severity="high"),
        entry(4, severity="high"),
    ]
    receiver = Receiver()
    drain(delivery_to(receiver, ListLedger(entries), storage, min_severity="medium", symbols=("A",), rules=("price_change",)))
    assert receiver.keys == ["alert-4/1"]


def test_a_channel_that_is_new_begins_with_what_is_not_too_old(storage: MemoryStorage) -> None:
    entries = [entry(1, recorded_at=NOW - timedelta(hours=73)), entry(2, recorded_at=NOW - timedelta(hours=71)), entry(3)]
    receiver, ledger = Receiver(), ListLedger(entries)
    drain(delivery_to(receiver, ledger, storage))
    assert receiver.keys == ["alert-2/1", "alert-3/1"]
    other = MemoryStorage(storage.files)
    drain(delivery_to(receiver, ListLedger(entries[:1]), other))
    assert Outbox(other, "desk").state() == (1, None), "where it began is noted: nothing that follows can be missed"


def test_two_that_deliver_at_once_leave_nothing_out(storage: MemoryStorage) -> None:
    receiver, ledger = Receiver(), ListLedger([entry(seq) for seq in range(1, 4)])
    one, other = (delivery_to(receiver, ledger, storage) for _ in range(2))
    for _ in range(8):
        one.step()
        other.step()
    assert receiver.keys == ["alert-1/1", "alert-2/1", "alert-3/1"]
    slow = Outbox(storage, "desk")
    assert slow.state() == (3, None)


def test_a_sleeper_that_wakes_up_after_others_went_on_leaves_their_place_alone(storage: MemoryStorage) -> None:
    receiver, ledger = Receiver(["lose"]), ListLedger([entry(1)])
    with pytest.raises(ChannelDown):
        delivery_to(receiver, ledger, storage).step()
    sleeper = Outbox(storage, "desk")
    parcel = sleeper.state()[1]
    assert parcel is not None
    for seq in range(2, 5):
        drain(delivery_to(receiver, ledger, storage))
        ledger.entries.append(entry(seq))
    drain(delivery_to(receiver, ledger, storage))
    assert sleeper.note(parcel) is None
    sleeper.settle(parcel)
    assert sleeper.state() == (4, None)


def test_a_channel_that_is_out_keeps_no_other_from_its_alerts(storage: MemoryStorage) -> None:
    ledger, down, up = ListLedger([entry(1)]), Receiver(["refuse"] * 9), Receiver()
    channels = [
        Channel(ChannelSettings(name="down", url_variable="A"), down),
        Channel(ChannelSettings(name="up", url_variable="B"), up),
    ]
    deliveries = [ChannelDelivery(storage, each, DeliverySettings(), ledger.open) for each in channels]
    assert deliver_all(deliveries, channels) == ["down"]
    assert (down.keys, up.keys) == ([], ["alert-1/1"])
    down.script.clear()
    assert deliver_all(deliveries, channels) == []
    assert down.keys == ["alert-1/1"]


def test_an_outage_is_waited_out_with_growing_pauses_and_told_once(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pauses(threading.Event):
        waited: ClassVar[list[float]] = []

        def wait(self, timeout: float | None = None) -> bool:
            self.waited.append(timeout or 0.0)
            if len(self.waited) == 9:
                self.set()
            return self.is_set()

    said: list[str] = []
    monkeypatch.setattr(delivery_module.log, "warning", lambda event, **_: said.append(event), raising=False)
    monkeypatch.setattr(delivery_module.random, "uniform", lambda _low, high: high)
    receiver, stop = Receiver(["refuse"] * 6), Pauses()
    delivery = delivery_to(receiver, ListLedger([entry(1)]), storage)
    keep_delivering(delivery, channel(receiver), DeliverySettings(max_backoff_seconds=10), stop)
    assert stop.waited == [1, 2, 4, 8, 10, 10, 0, 1, 1]
    assert said == ["the channel is out: its alerts wait and are tried again", "the channel takes alerts again"]


def test_a_missing_or_unknown_address_is_told_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = DeliverySettings(channels=(ChannelSettings(name="desk", url_variable="DESK_URL"),))
    monkeypatch.delenv("DESK_URL", raising=False)
    with pytest.raises(ChannelError, match="environment variable DESK_URL"):
        open_channels(chosen)
    monkeypatch.setenv("DESK_URL", "nonsense://top-secret")
    with pytest.raises(ChannelError, match="apprise does not know the address in DESK_URL") as refused:
        open_channels(chosen)
    assert "top-secret" not in str(refused.value)
    for known in (
        "slack://TokenA12/TokenB345/abcdefghijklmnopqrstuvwx",
        "mailto://user:pass@example.com",
        "json://127.0.0.1:9/x",
    ):
        monkeypatch.setenv("DESK_URL", known)
        assert [each.name for each in open_channels(chosen)] == ["desk"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([{"name": "desk", "url_variable": "TICKHOUSE_DESK"}], "without TICKHOUSE_"),
        ([{"name": "desk", "url_variable": "desk url"}], "url_variable"),
        ([{"name": "desk", "url_variable": "A", "min_severity": "grave"}], "min_severity"),
        ([{"name": "../desk", "url_variable": "A"}], "name"),
        ([{"name": "desk", "url_variable": "A"}] * 2, "2 channels are called desk"),
    ],
)
def test_channels_are_checked_when_settings_are_read(wrong: list[dict[str, str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DeliverySettings.model_validate({"channels": wrong})
