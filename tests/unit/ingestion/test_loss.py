"""Offsets that Kafka dropped before they landed: found, given up when told to, and seen for ever after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty_storage import FaultyStorage, no_faults, patiently, seeded_faults

from ingestion.chain.put import ChainEnd, begin_chain, find_end, put_slot
from ingestion.chain.slot import Chain, SlotFooter
from ingestion.chain.walk import read_rows, walk
from ingestion.loss import ChainAheadError, Loss, find_losses, give_up, given_up, loss_text
from ingestion.topic import LOG_APPEND_TIME, TopicIdentity
from tickhouse.bar import LANDED_SCHEMA
from tickhouse.storage.local import LocalStorage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOPIC = TopicIdentity("bars", "incarnation", 3, LOG_APPEND_TIME)
CHAIN = Chain("bars", "incarnation", 1)
LOSS = Loss(CHAIN, 5, 10)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """A lake in which partition 1 has landed up to offset 5."""
    storage = LocalStorage(tmp_path)
    begin_chain(storage, CHAIN, 0, NOW)
    land(storage, 0, 5)
    return storage


def kafka_has(ranges: dict[int, tuple[int, int]]) -> Callable[[], dict[int, tuple[int, int]]]:
    return lambda: dict.fromkeys(range(TOPIC.partitions), (0, 0)) | ranges


def land(storage: LocalStorage, position: int, next_offset: int) -> SlotFooter:
    footer = SlotFooter(position, next_offset, 0, 0, None, "ingestor", 1, None, None, ())
    return put_slot(storage, CHAIN, LANDED_SCHEMA.empty_table(), footer)


@pytest.mark.parametrize(("low", "lost"), [(0, []), (5, []), (6, [Loss(CHAIN, 5, 6)]), (10, [LOSS])])
def test_what_lies_between_a_chains_end_and_kafkas_first_offset_is_lost(
    low: int, lost: list[Loss], storage: LocalStorage
) -> None:
    assert find_losses(storage, TOPIC, kafka_has({1: (low, 20)})) == lost


def test_a_chain_that_was_never_begun_has_lost_nothing(storage: LocalStorage) -> None:
    assert find_losses(storage, TOPIC, kafka_has({0: (7, 9), 1: (0, 5), 2: (100, 100)})) == []


def test_a_chain_beyond_its_partition_is_no_loss_to_give_up(storage: LocalStorage) -> None:
    with pytest.raises(ChainAheadError, match=r"partition=1 has landed up to offset 5, but the partition ends at 4.*Restore"):
        find_losses(storage, TOPIC, kafka_has({1: (0, 4)}))


def test_a_loss_that_is_given_up_is_a_slot_without_rows_that_says_so(storage: LocalStorage) -> None:
    footer = give_up(storage, LOSS, "me", NOW)
    assert (footer.position, footer.next_offset, footer.rows, footer.lost, footer.writer) == (5, 10, 0, 5, "me")
    *_, slot = walk(storage, CHAIN)
    assert slot.footer == footer
    assert read_rows(storage, slot).num_rows == 0
    assert find_losses(storage, TOPIC, kafka_has({1: (10, 20)})) == []
    assert find_end(storage, CHAIN) == ChainEnd(10, 5)
    land(storage, 10, 12)
    assert given_up(storage, CHAIN) == [footer]


def test_a_loss_that_an_ingestor_still_landed_is_none(storage: LocalStorage) -> None:
    """It had fetched the messages before Kafka dropped them."""
    landed = land(storage, 5, 8)
    assert give_up(storage, LOSS, "me", NOW) == landed
    assert given_up(storage, CHAIN) == []
    assert find_losses(storage, TOPIC, kafka_has({1: (10, 20)})) == [Loss(CHAIN, 8, 10)]


def test_giving_up_twice_is_giving_up_once(storage: LocalStorage) -> None:
    first = give_up(storage, LOSS, "me", NOW)
    assert give_up(storage, LOSS, "you", NOW) == first
    assert given_up(storage, CHAIN) == [first]


@pytest.mark.parametrize("seed", range(10))
def test_whatever_fails_meanwhile_the_loss_is_given_up_once_and_seen(seed: int, storage: LocalStorage) -> None:
    faulty = FaultyStorage(storage, seeded_faults(seed, 0.5))
    footer = patiently(lambda: give_up(faulty, LOSS, "me", NOW))
    faulty.plan = no_faults
    faulty.settle()
    assert [slot.footer.lost for slot in walk(storage, CHAIN)] == [0, 5]
    assert given_up(storage, CHAIN) == [footer]


def test_the_message_names_the_loss_and_the_way_on() -> None:
    assert loss_text(LOSS) == (
        "data loss: topic=bars/id=incarnation/partition=1 has landed up to offset 5, and Kafka has nothing below 10 any more: "
        "5 offsets are gone. `tickhouse topic adopt` goes on without them"
    )
