"""Several ingestors, and what their group knows: the chain is the fence, the group a hint."""

from __future__ import annotations

import json
from pathlib import Path

from ingesting import (
    assert_landed_exactly,
    committed,
    ingesting,
    send_bars,
    slots,
    wait_until,
    wait_until_landed,
    with_kafka,
)

from tickhouse.settings import Settings


def test_the_group_knows_offset_and_last_slot(topic_settings: Settings) -> None:
    send_bars(topic_settings, range(200))
    with ingesting(topic_settings):
        wait_until_landed(topic_settings, 200)
    last = {slot.chain.partition: slot for slot in slots(topic_settings)}
    commits = committed(topic_settings)
    assert last.keys() <= commits.keys()
    for partition, slot in last.items():
        assert commits[partition].offset == slot.footer.next_offset
        hint = json.loads(commits[partition].metadata or "")
        assert hint == {"topic_id": slot.chain.topic_id, "position": slot.footer.position}


def test_a_lake_that_was_lost_is_landed_anew_whatever_the_group_says(topic_settings: Settings, tmp_path: Path) -> None:
    sent = send_bars(topic_settings, range(100))
    with ingesting(topic_settings):
        wait_until_landed(topic_settings, 100)
    other = topic_settings.model_copy(update={"data_dir": tmp_path / "another lake"})
    with ingesting(other):
        wait_until_landed(other, 100)
    assert_landed_exactly(other, sent)


def test_ingestors_of_two_groups_on_one_lake_land_each_message_once(topic_settings: Settings) -> None:
    """The chain is the fence, not the group."""
    other = with_kafka(topic_settings, group=f"{topic_settings.kafka.group}-other")
    sent = []
    with ingesting(topic_settings), ingesting(other):
        for round_ in range(10):
            sent += send_bars(topic_settings, range(round_ * 100, round_ * 100 + 100))
        wait_until_landed(topic_settings, 1000)
    assert_landed_exactly(topic_settings, sent)


def test_one_joins_and_leaves_and_every_message_lands_once(topic_settings: Settings) -> None:
    sent = []

    def send(count: int) -> None:
        sent.extend(send_bars(topic_settings, range(len(sent), len(sent) + count)))

    def writers() -> set[str]:
        return {slot.footer.writer for slot in slots(topic_settings)}

    def send_until_written_by(count: int) -> None:
        def is_so() -> bool:
            send(50)
            return len(writers()) >= count

        wait_until(is_so, f"{count} ingestors have landed slots")

    with ingesting(topic_settings):
        send_until_written_by(1)
        with ingesting(topic_settings):
            send_until_written_by(2)
        send(300)
        wait_until_landed(topic_settings, len(sent))
    assert_landed_exactly(topic_settings, sent)
