"""Where a chain starts and goes on: holes, markers, watermarks, topics made again."""

from __future__ import annotations

import threading
import uuid

import pyarrow.compute as pc
import pytest
from ingesting import (
    Sender,
    assert_gapless,
    assert_landed_exactly,
    bar_message,
    chains,
    ingesting,
    landed,
    send_bars,
    slots,
    wait_until,
    wait_until_landed,
    with_kafka,
)
from kafka_admin import delete_records_before, delete_topic

from ingestion.chain.put import find_end
from ingestion.chain.walk import read_genesis
from ingestion.ingestor import IngestorError, run_ingestor
from ingestion.topic import ensure_topic
from tickhouse.settings import Settings
from tickhouse.storage import open_storage


def end_of_chain(settings: Settings) -> int:
    (chain,) = chains(settings)
    end = find_end(open_storage(settings), chain)
    assert end is not None
    return end.next_offset


def test_aborted_records_and_markers_leave_no_gap_in_the_chain(one_partition: Settings) -> None:
    sender = Sender(one_partition, transactional_id=uuid.uuid4().hex)
    kept = []
    for transaction in range(6):
        sender.producer.begin_transaction()
        for number in range(20):
            sender.send(bar_message(transaction * 20 + number))
        own = sender.flush()[transaction * 20 :]
        if transaction % 2:
            sender.producer.abort_transaction(30)
        else:
            sender.producer.commit_transaction(30)
            kept += own
    with ingesting(one_partition):
        wait_until(
            lambda: bool(chains(one_partition)) and end_of_chain(one_partition) == 126, "the chain is at the partition's end"
        )
        sender.producer.begin_transaction()
        sender.send(bar_message(500))
        kept.append(sender.flush()[-1])
        sender.producer.commit_transaction(30)
        wait_until(lambda: end_of_chain(one_partition) == 128, "the last marker is covered")
    assert_landed_exactly(one_partition, kept)


def test_records_of_an_open_transaction_wait_for_its_end(one_partition: Settings) -> None:
    sender = Sender(one_partition, transactional_id=uuid.uuid4().hex)
    with ingesting(one_partition):
        sender.producer.begin_transaction()
        sender.send(bar_message(0))
        sender.flush()
        beside = send_bars(one_partition, range(1, 3))
        wait_until(lambda: bool(chains(one_partition)), "the partition is assigned")
        sender.producer.commit_transaction(30)
        wait_until_landed(one_partition, 3)
        assert end_of_chain(one_partition) in (3, 4)
    assert_landed_exactly(one_partition, [*sender.sent, *beside])


def test_a_topic_of_nothing_but_aborted_records_is_followed_to_its_end(one_partition: Settings) -> None:
    """Else the end of retention would look like a loss."""
    sender = Sender(one_partition, transactional_id=uuid.uuid4().hex)
    sender.producer.begin_transaction()
    sender.send(bar_message(0))
    sender.flush()
    sender.producer.abort_transaction(30)
    with ingesting(one_partition):
        wait_until(
            lambda: bool(chains(one_partition)) and end_of_chain(one_partition) == 2, "the chain is at the partition's end"
        )
    assert landed(one_partition).num_rows == 0
    delete_records_before(one_partition, 2)
    sent = send_bars(one_partition, range(3))
    with ingesting(one_partition):
        wait_until_landed(one_partition, 3)
    assert_landed_exactly(one_partition, sent)


def test_earliest_begins_at_the_first_message_that_kafka_still_has(one_partition: Settings) -> None:
    sent = send_bars(one_partition, range(10))
    delete_records_before(one_partition, 4)
    with ingesting(one_partition):
        wait_until_landed(one_partition, 6)
    assert_landed_exactly(one_partition, sent[4:])
    (chain,) = chains(one_partition)
    assert read_genesis(open_storage(one_partition), chain).position == 4


def test_latest_begins_at_the_end_and_a_restart_skips_nothing(one_partition: Settings) -> None:
    settings = with_kafka(one_partition, offset_reset="latest")
    send_bars(settings, range(10))
    with ingesting(settings):
        wait_until(lambda: bool(chains(settings)), "the chain is begun")
    sent = send_bars(settings, range(10, 15))
    with ingesting(settings):
        wait_until_landed(settings, 5)
    assert_landed_exactly(settings, sent)


def test_error_begins_no_chain_but_goes_on_with_one(one_partition: Settings) -> None:
    settings = with_kafka(one_partition, offset_reset="error")
    sent = send_bars(settings, range(5))
    with pytest.raises(IngestorError, match=r"never landed.*kafka\.offset_reset"):
        run_ingestor(settings, threading.Event())
    assert chains(settings) == []
    with ingesting(one_partition):
        wait_until_landed(one_partition, 5)
    sent += send_bars(settings, range(5, 8))
    with ingesting(settings):
        wait_until_landed(settings, 8)
    assert_landed_exactly(settings, sent)


def test_messages_that_kafka_dropped_before_they_landed_are_an_error(one_partition: Settings) -> None:
    send_bars(one_partition, range(5))
    with ingesting(one_partition):
        wait_until_landed(one_partition, 5)
    send_bars(one_partition, range(5, 20))
    delete_records_before(one_partition, 10)
    with pytest.raises(IngestorError, match=r"data loss: topic=.*partition=0 has landed up to offset 5.*nothing below 10"):
        run_ingestor(one_partition, threading.Event())


def test_a_topic_made_again_is_landed_as_another_chain(one_partition: Settings) -> None:
    send_bars(one_partition, range(5))
    with ingesting(one_partition):
        wait_until_landed(one_partition, 5)
    delete_topic(one_partition)
    ensure_topic(one_partition)
    send_bars(one_partition, range(3))
    with ingesting(one_partition):
        wait_until_landed(one_partition, 8)
    assert sorted(slot.footer.rows for slot in slots(one_partition)) == [3, 5]
    assert len({chain.topic_id for chain in chains(one_partition)}) == 2
    assert_gapless(one_partition)


def test_no_message_of_a_topic_made_again_gets_into_the_old_ones_chain(one_partition: Settings) -> None:
    """The ingestor runs on; Kafka's client would go on reading the new topic at the old one's offset."""
    settings = one_partition
    send_bars(settings, range(5))
    with pytest.raises(IngestorError, match="deleted and made again"), ingesting(settings) as ingestor:
        wait_until_landed(settings, 5)
        delete_topic(settings)
        ensure_topic(settings)
        sent = send_bars(settings, range(100, 120))
        wait_until(lambda: not ingestor.is_alive(), "the ingestor ends")
    assert [slot.footer.next_offset for slot in slots(settings)] == [5]
    with ingesting(settings):
        wait_until_landed(settings, 25)
    old = landed(settings).filter(pc.less(landed(settings)["volume"], 100))
    assert old.num_rows == 5
    assert landed(settings).num_rows == 5 + len(sent)
    assert_gapless(settings)
